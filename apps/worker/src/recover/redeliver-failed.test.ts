import { RateLimitedError, TransientError } from "@grp/core";
import { createGitHub, type GitHub } from "@grp/github";
import { expect } from "chai";
import { createGitHubStandIn, type GitHubStandIn } from "../../../../packages/sandbox/src/github/index.ts";
import type { WorkerContext } from "../context.ts";
import { type Harness, startHarness } from "../testing/harness.ts";
import { type Receiver, startReceiver } from "../testing/receiver.ts";
import { createHookFinder } from "./find-hooks.ts";
import { redeliverFailed } from "./redeliver-failed.ts";

const HOME = { owner: "acme", repository: "app", labels: ["linux"] };
const MINUTE = 60_000;
const { signal } = new AbortController();

describe("redeliverFailed", () => {
  let test: Awaited<ReturnType<typeof startHarness>>;
  let harness: Harness;
  let standIn: GitHubStandIn;
  let ingress: Receiver;
  let context: WorkerContext;
  before(async () => {
    test = await startHarness();
  });
  after(() => test.stop());
  beforeEach(async () => {
    harness = await test.create();
    harness.clock.now = Date.now();
    standIn = await createGitHubStandIn({ now: () => harness.clock.now });
    ingress = await startReceiver();
    await standIn.addHook({
      url: `${ingress.url}/webhook`,
      secret: "secret",
      place: { kind: "organization", owner: "acme" },
    });
    context = contextWith({});
  });
  afterEach(async () => {
    await standIn.close();
    await ingress.close();
    expect(standIn.violations).to.deep.equal([]);
  });

  /** Another worker: its own client and memory, the same Redis. */
  function contextWith(github: Partial<GitHub>): WorkerContext {
    const real = createGitHub({
      auth: { kind: "pat", token: standIn.token },
      baseUrl: standIn.url,
      now: () => harness.clock.now,
    });
    return harness.with({ github: { ...real, ...github } });
  }

  const settle = () =>
    standIn.until(() => standIn.deliveries.every(({ status }) => status !== "pending"), "deliveries");

  async function round(by: WorkerContext = context): Promise<void> {
    await redeliverFailed(by, createHookFinder(by, `${ingress.url}/webhook`), signal);
    await settle();
    harness.clock.now += MINUTE;
  }

  async function queue(count: number): Promise<void> {
    for (let index = 0; index < count; index++) standIn.queueWorkflowJob(HOME);
    await settle();
  }

  const guids = () => ingress.received.slice(1).map(({ guid }) => guid);
  const lines = () => harness.lines.filter(({ message }) => message === "deliveries.recovered");
  const takenGuids = () =>
    standIn.deliveries
      .filter(({ status, event }) => status === "OK" && event === "workflow_job")
      .map(({ guid }) => guid);

  async function refuseForGood(count: number): Promise<void> {
    const known = standIn.deliveries.length;
    standIn.dropNext(count);
    await queue(count);
    for (const { guid } of standIn.deliveries.slice(known)) ingress.refused.add(guid);
  }

  const redeliveries = () => standIn.deliveries.filter(({ isRedelivery }) => isRedelivery);

  it("has what failed sent again, once, and nothing else", async () => {
    standIn.dropNext(2);
    await queue(4);
    expect(guids()).to.have.length(2);
    for (let rounds = 0; rounds < 8; rounds++) await round();
    expect(new Set(guids())).to.have.property("size", 4);
    expect(guids()).to.have.length(4);
    expect(lines().map(({ fields }) => [fields.failed, fields.redelivered, fields.recovered])).to.deep.equal([
      [2, 2, 0],
      [0, 0, 2],
    ]);
  });

  it("asks again at growing pauses while the ingress is away, a few at a time, and for all when it is back", async () => {
    ingress.status = 503;
    await queue(12);
    for (let rounds = 0; rounds < 4; rounds++) await round();
    // All at first; then, as none was taken, three a minute.
    expect(redeliveries().length).to.be.within(15, 21);
    ingress.status = 202;
    for (let rounds = 0; rounds < 16; rounds++) await round();
    expect(new Set(takenGuids())).to.have.property("size", 12);
    expect(takenGuids()).to.have.length(12);
  });

  // Rounds are far apart in the long outages, for the test's sake.
  for (const { length, rounds, apartMs } of [
    { length: "an hour", rounds: 60, apartMs: MINUTE },
    { length: "three hours", rounds: 36, apartMs: 5 * MINUTE },
    { length: "two days", rounds: 48, apartMs: 60 * MINUTE },
  ])
    it(`has everything within minutes of the return of an ingress that was away for ${length}`, async () => {
      ingress.status = 503;
      await queue(5);
      for (let count = 0; count < rounds; count++) {
        await round();
        harness.clock.now += apartMs - MINUTE;
      }
      expect(redeliveries().length).to.be.within(5, 3 * rounds);
      await queue(100);
      await round();
      ingress.status = 202;
      const asked = redeliveries().length;
      for (let minute = 0; minute < 10; minute++) await round();
      expect(new Set(takenGuids())).to.have.property("size", 105);
      expect(takenGuids()).to.have.length(105);
      expect(redeliveries().length - asked).to.be.within(100, 110);
    }).timeout(60_000);

  it("does not mistake one that is refused for good for an ingress that is away", async () => {
    await refuseForGood(1);
    for (let minute = 0; minute < 90; minute++) await round();
    expect(redeliveries().length).to.be.within(5, 12);
    standIn.dropNext(20);
    await queue(20);
    for (let rounds = 0; rounds < 5; rounds++) await round();
    expect(takenGuids()).to.have.length(20);
  }).timeout(60_000);

  it("shows the return of the ingress though what it refuses for good is asked for in between", async () => {
    await refuseForGood(3);
    ingress.status = 503;
    await queue(2);
    for (let minute = 0; minute < 30; minute++) await round();
    ingress.status = 202;
    for (let rounds = 0; rounds < 8; rounds++) await round();
    expect(takenGuids()).to.have.length(2);
  });

  it("costs little where one is refused for ever, and gives up after three days", async () => {
    ingress.status = 400;
    await queue(1);
    for (let hour = 0; hour < 80; hour++) {
      await round();
      harness.clock.now += 59 * MINUTE;
    }
    expect(redeliveries().length).to.be.within(10, 30);
    expect(lines().at(-1)?.fields).to.include({ expired: 1, open: 0 });
  });

  it("goes on where another worker has ended", async () => {
    standIn.dropNext(1);
    await queue(1);
    await round();
    for (let rounds = 0; rounds < 7; rounds++) await round(contextWith({}));
    expect(guids()).to.have.length(1);
    expect(redeliveries()).to.have.length(1);
  });

  it("forgets nothing when it is cut off in the middle", async () => {
    standIn.dropNext(3);
    await queue(3);
    const stop = new AbortController();
    const real = context.github;
    const cut = contextWith({
      async redeliver(target, id) {
        await real.redeliver(target, id, signal);
        stop.abort();
      },
    });
    await redeliverFailed(cut, createHookFinder(cut, `${ingress.url}/webhook`), stop.signal);
    await round();
    expect(new Set(guids()).size).to.equal(3);
    expect(guids()).to.have.length(3);
  });

  it("repeats few when a worker is frozen in the middle, which then knows that it is late", async () => {
    standIn.dropNext(70);
    await queue(70);
    const real = context.github;
    const frozen = Promise.withResolvers<void>();
    const thawed = Promise.withResolvers<void>();
    let asked = 0;
    const slow = contextWith({
      async redeliver(target, id) {
        await real.redeliver(target, id, signal);
        if (++asked !== 35) return;
        frozen.resolve();
        await thawed.promise;
      },
    });
    const late = redeliverFailed(slow, createHookFinder(slow, `${ingress.url}/webhook`), signal);
    await frozen.promise;
    await round(contextWith({}));
    expect(redeliveries()).to.have.length(35 + 40);
    thawed.resolve();
    const error = await late.catch((reason: Error) => reason);
    expect(error)
      .to.have.property("message")
      .that.matches(/^another worker has made a round/);
    expect(asked).to.equal(60);
    for (let rounds = 0; rounds < 8; rounds++) await round();
    expect(redeliveries()).to.have.length(60 + 40);
    expect(new Set(takenGuids())).to.have.property("size", 70);
  });

  it("stops at GitHub's rate limit, and goes on in the next round", async () => {
    standIn.dropNext(3);
    await queue(3);
    let left = 1;
    const real = context.github;
    const limited = contextWith({
      async redeliver(target, id) {
        if (left-- <= 0) throw new RateLimitedError("slow", { retryAfterMs: 30_000 });
        await real.redeliver(target, id, signal);
      },
    });
    await round(limited);
    expect(lines().at(-1)).to.nested.include({
      level: "warn",
      "fields.redelivered": 1,
      "fields.pauseMs": 30_000,
    });
    await round();
    expect(guids()).to.have.length(3);
  });

  it("has an event that two hooks missed sent again by both, though they share its number", async () => {
    await standIn.addHook({
      url: `${ingress.url}/webhook`,
      secret: "secret",
      place: { kind: "repository", owner: HOME.owner, repository: HOME.repository },
    });
    await harness.addDemand({ owner: HOME.owner, repository: HOME.repository });
    standIn.dropNext(2);
    await queue(1);
    const missed = standIn.deliveries
      .filter(({ event }) => event === "workflow_job")
      .map(({ hookId, guid }) => ({ hookId, guid }));
    expect(new Set(missed.map(({ guid }) => guid)).size).to.equal(1);
    for (let rounds = 0; rounds < 3; rounds++) await round();
    const again = standIn.deliveries.filter(({ isRedelivery }) => isRedelivery);
    expect(again.map(({ hookId, guid }) => ({ hookId, guid }))).to.have.deep.members(missed);
    expect(again.map(({ status }) => status)).to.deep.equal(["OK", "OK"]);
  });

  it("lets one refusal stop neither the other deliveries nor the other hooks", async () => {
    await standIn.addHook({
      url: `${ingress.url}/webhook`,
      secret: "secret",
      place: { kind: "organization", owner: "other" },
    });
    standIn.dropNext(3);
    await queue(3);
    const refused = standIn.deliveries.find(({ statusCode }) => statusCode === 502);
    const real = context.github;
    const targets = [
      { kind: "organization", owner: "broken", hookId: 1 } as const,
      ...(await real.findHooks({ kind: "organization", owner: "acme" }, `${ingress.url}/webhook`, signal)),
    ];
    const partly = contextWith({
      findHooks: async ({ kind }) => (kind === "organization" ? targets : []),
      async redeliver(target, id) {
        if (id === String(refused?.id)) throw new TransientError("502", { code: "502" });
        await real.redeliver(target, id, signal);
      },
    });
    await round(partly);
    expect(guids().filter(Boolean)).to.have.length(3);
    expect(lines().at(-1)?.fields).to.include({ redelivered: 2, errors: 2, hooks: 1 });
  });

  it("reads each time only what is new", async () => {
    await round();
    standIn.calls.length = 0;
    await round();
    await round();
    const calls = standIn.calls.filter(({ route }) => route.endsWith("/deliveries"));
    expect(calls).to.have.length(2);
    expect(lines()).to.have.length(0);
  });

  it("says when GitHub has no hook of ours, once", async () => {
    const find = createHookFinder(context, "https://elsewhere.test/webhook");
    await redeliverFailed(context, find, signal);
    await redeliverFailed(context, find, signal);
    expect(harness.lines.map(({ message }) => message)).to.deep.equal(["deliveries.no-hook"]);
  });

  it("leaves to another worker what failed at a hook that this one has not found", async () => {
    standIn.dropNext(1);
    await queue(1);
    ingress.status = 503;
    await round();
    ingress.status = 202;
    const blind = contextWith({ findHooks: async () => [] });
    for (let rounds = 0; rounds < 5; rounds++) await round(blind);
    await round();
    expect(redeliveries().map(({ statusCode }) => statusCode)).to.deep.equal([503, 202]);
  });

  it("finds a hook that is set up later, within minutes while there is none", async () => {
    const url = `${ingress.url}/later`;
    const find = createHookFinder(context, url);
    expect((await find(signal)).hooks).to.deep.equal([]);
    await standIn.addHook({ url, secret: "secret", place: { kind: "organization", owner: "acme" } });
    expect((await find(signal)).hooks).to.deep.equal([]);
    harness.clock.now += 10 * MINUTE;
    expect((await find(signal)).hooks).to.have.length(1);
    standIn.calls.length = 0;
    harness.clock.now += 59 * MINUTE;
    await find(signal);
    expect(standIn.calls).to.deep.equal([]);
  });

  it("asks a repository for its hook as soon as it is known, and the others once an hour", async () => {
    const url = `${ingress.url}/of-a-repository`;
    const find = createHookFinder(context, url);
    expect((await find(signal)).hooks).to.deep.equal([]);
    const place = { kind: "repository", owner: "acme", repository: "app" } as const;
    await standIn.addHook({ url, secret: "secret", place });
    await harness.addDemand({ owner: "acme", repository: "app" });
    expect((await find(signal)).hooks.map(({ kind }) => kind)).to.deep.equal(["repository"]);
    standIn.calls.length = 0;
    await find(signal);
    expect(standIn.calls).to.deep.equal([]);
    harness.clock.now += 60 * MINUTE;
    await find(signal);
    expect(standIn.calls).to.have.length(2);
  });
});
