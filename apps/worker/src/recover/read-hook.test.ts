import { InvalidSpecError, RateLimitedError, UnauthorizedError } from "@grp/core";
import type { GitHub, HookTarget } from "@grp/github";
import { expect } from "chai";
import { createFailedList, type FailedList } from "../testing/failed-list.ts";
import { type Harness, startHarness } from "../testing/harness.ts";
import { redeliverFailed } from "./redeliver-failed.ts";

const MINUTE = 60_000;
const { signal } = new AbortController();
const app = (appId: string): HookTarget => ({ kind: "app", appId });

describe("the reading of failed deliveries", () => {
  let server: Awaited<ReturnType<typeof startHarness>>;
  let harness: Harness;
  let list: FailedList;
  let skewMs = 0;
  before(async () => {
    server = await startHarness();
  });
  after(() => server.stop());
  beforeEach(async () => {
    harness = await server.create();
    skewMs = 0;
    list = createFailedList(() => harness.clock.now - skewMs);
  });

  async function round(
    github: Partial<GitHub> = {},
    hooks: readonly HookTarget[] = [app("1")],
    unseen: readonly string[] = [],
  ): Promise<void> {
    const context = harness.with({ github: { ...harness.github, ...list, ...github } });
    await redeliverFailed(context, async () => ({ hooks, unseen }), signal);
    harness.clock.now += MINUTE;
  }

  const warnings = async () => (await harness.ledger.listWarnings(harness.clock.now)).map(({ text }) => text);
  const lastLine = () => harness.lines.findLast(({ message }) => message === "deliveries.recovered")?.fields;

  for (const [how, minutes] of [
    ["ahead of", 5],
    ["behind", -5],
  ] as const)
    it(`finds each failure once with a clock that is five minutes ${how} GitHub's`, async () => {
      skewMs = minutes * MINUTE;
      for (let minute = 0; minute < 30; minute++) {
        list.add(harness.clock.now - skewMs - 1_000);
        await round();
      }
      expect(list.redelivered).to.have.length(30);
      expect(new Set(list.redelivered).size).to.equal(30);
    });

  it("goes on with the other Apps when GitHub wants a pause of one, and keeps what was read", async () => {
    list.add(harness.clock.now);
    const first: Partial<GitHub> = {
      async listFailedDeliveries(target, from) {
        if (target.kind === "app" && target.appId === "1")
          throw new RateLimitedError("pause", { retryAfterMs: 50 * MINUTE });
        return list.listFailedDeliveries(target, from, signal);
      },
    };
    for (let minute = 0; minute < 45; minute++) await round(first, [app("1"), app("2")]);
    expect(list.redelivered).to.deep.equal(["1"]);
    expect(list.pages).to.have.length(45);
    expect(lastLine()).to.include({ pauseMs: 50 * MINUTE });
    const [warning, ...others] = await warnings();
    expect(warning).to.match(/can't be read with GitHub App 1, round after round/);
    expect(others).to.deep.equal([]);
  });

  it("tells no sooner than after ten minutes that claims go first, and of those alone", async () => {
    const later: Partial<GitHub> = {
      async listFailedDeliveries() {
        throw new RateLimitedError("in line", { code: "in_line", retryAfterMs: MINUTE });
      },
    };
    for (let minute = 0; minute < 9; minute++) await round(later, [app("1")]);
    expect(await warnings()).to.deep.equal([]);
    expect(lastLine()).to.include({ afterClaimsMs: MINUTE, pauseMs: undefined });
    await round(later, [app("1")]);
    const told = await warnings();
    expect(told).to.have.length(1);
    expect(told[0]).to.match(/can't be read with GitHub App 1, for claims go first, round after round/);
  });

  it("sends again for one App while GitHub wants a pause of another", async () => {
    for (let count = 0; count < 120; count++) list.add(harness.clock.now);
    const hooks = [app("1"), app("2")];
    const asked: string[] = [];
    const github: Partial<GitHub> = {
      async redeliver(target) {
        const { appId } = target as { appId: string };
        if (appId === "1" && asked.includes("1"))
          throw new RateLimitedError("pause", { retryAfterMs: MINUTE });
        asked.push(appId);
      },
    };
    await round(github, hooks);
    expect(asked.filter((one) => one === "1")).to.have.length(1);
    expect(asked.filter((one) => one === "2").length).to.be.greaterThan(80);
  });

  it("takes each hook in turn though half of them are refused for ever, and warns of it", async () => {
    const hooks = Array.from(
      { length: 40 },
      (_one, hookId): HookTarget => ({ kind: "repository", owner: "acme", repository: `r${hookId}`, hookId }),
    );
    const read = new Set<number>();
    const github: Partial<GitHub> = {
      async listFailedDeliveries(target, from) {
        const { hookId } = target as { hookId: number };
        if (hookId < 20) throw new UnauthorizedError("no right");
        read.add(hookId);
        return list.listFailedDeliveries(target, from, signal);
      },
    };
    await round(github, hooks);
    await round(github, hooks);
    expect(read.size).to.equal(20);
    expect(await warnings()).to.deep.equal([]);
    for (let count = 0; count < 4; count++) await round(github, hooks);
    expect((await warnings()).join()).to.match(/can't be read with the GitHub token/);
  });

  it("reads a great backlog fifty pages a round, news first, and loses none of it", async () => {
    for (let count = 0; count < 7_000; count++) list.add(harness.clock.now - 5 * MINUTE);
    await round();
    expect(list.pages).to.have.length(50);
    expect(lastLine()).to.include({ failed: 5_000, pages: 50 });
    list.add(harness.clock.now);
    const before = list.pages.length;
    await round();
    expect(lastLine()).to.include({ failed: 2_001 });
    expect(list.pages.length - before).to.equal(21);
    await round();
    expect(list.pages.length - before).to.be.below(25);
    expect(lastLine()).to.include({ open: 7_001 });
  });

  it("keeps what was read before GitHub's limit, and goes on there", async () => {
    for (let count = 0; count < 1_000; count++) list.add(harness.clock.now - MINUTE);
    let left = 6;
    const limited: Partial<GitHub> = {
      async listFailedDeliveries(target, from) {
        if (left-- <= 0) throw new RateLimitedError("pause", { retryAfterMs: MINUTE });
        return list.listFailedDeliveries(target, from, signal);
      },
    };
    await round(limited);
    expect(lastLine()).to.include({ failed: 600, redelivered: 0 });
    await round();
    expect(lastLine()).to.include({ failed: 400, redelivered: 90, open: 1_000 });
  });

  it("begins anew where GitHub knows its place in the list no longer", async () => {
    for (let count = 0; count < 6_000; count++) list.add(harness.clock.now - 5 * MINUTE);
    await round();
    const lost: Partial<GitHub> = {
      async listFailedDeliveries(target, from) {
        if (from.cursor !== undefined) throw new InvalidSpecError("no such cursor", { code: "422" });
        return list.listFailedDeliveries(target, from, signal);
      },
    };
    await round(lost);
    for (let count = 0; count < 3; count++) await round();
    expect(lastLine()).to.include({ open: 6_000 });
  });

  it("remembers ten thousand at the most, and reads the rest when there is room", async () => {
    for (let count = 0; count < 10_500; count++) list.add(harness.clock.now - 5 * MINUTE);
    for (let count = 0; count < 4; count++) await round();
    expect(lastLine()).to.include({ open: 10_000 });
    for (let count = 0; count < 12; count++) await round();
    expect(harness.lines.reduce((sum, { fields }) => sum + Number(fields.failed ?? 0), 0)).to.equal(10_500);
    expect(new Set(list.redelivered).size).to.equal(list.redelivered.length);
  });

  it("takes nothing for recovered whose failure may be among what was not read", async () => {
    list.add(harness.clock.now);
    await round();
    list.add(harness.clock.now, { guid: "g1", isRedelivery: true });
    for (let count = 0; count < 10_500; count++) list.add(harness.clock.now);
    for (let count = 0; count < 25; count++) await round({ redeliver: async () => undefined });
    expect(harness.lines.some(({ fields }) => Number(fields.failedAgain) > 0)).to.equal(true);
  });

  it("warns when there is no hook of ours for some rounds, or an App can't be asked for its own", async () => {
    for (let count = 0; count < 3; count++) await round({}, []);
    expect(await warnings()).to.have.length(1);
    expect((await warnings()).join()).to.match(/no webhook that points at our ingress/);
    for (let count = 0; count < 3; count++) await round({}, [], ["GitHub App 2"]);
    expect(await warnings()).to.have.length(2);
    expect((await warnings()).join()).to.match(/GitHub App 2/);
    harness.clock.now += 11 * MINUTE;
    await round();
    expect(await warnings()).to.deep.equal([]);
  });

  it("warns of what the ingress never took", async () => {
    list.add(harness.clock.now);
    await round({ redeliver: () => Promise.reject(new UnauthorizedError("no right")) });
    harness.clock.now += 73 * 60 * MINUTE;
    await round();
    expect(lastLine()).to.include({ expired: 1, open: 0 });
    expect((await warnings()).join()).to.match(/never took are older than GitHub's three days/);
  });
});
