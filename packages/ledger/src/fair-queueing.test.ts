import { expect } from "chai";
import { WAITER_TTL_MS } from "./fair-queueing.ts";
import { startLedger, T0, type TestLedger } from "./fixtures.ts";
import type { Cap } from "./types.ts";

const wide: Cap = { name: "class:ubuntu-arm64", limit: 1 };
const ONE: readonly Cap[] = [wide];

describe("turns under caps", () => {
  let test: TestLedger;
  before(async () => {
    test = await startLedger();
  });
  beforeEach(() => test.redis.flushall());
  after(() => test.stop());

  const take = (holder: string, caps: readonly Cap[], { flow = holder, at = T0 } = {}) =>
    test.ledger.takePlace({ caps, holder, provider: "ec2", flow, rank: 0, at, ttlMs: 3_600_000 });
  const release = async (holder: string, at = T0) =>
    (await test.ledger.releasePlace(holder, at)).map((waiter) => waiter.holder);
  const name = (flow: string, jobs: readonly number[]) => jobs.map((job) => `${flow}-${job}`);
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_none, at) => from + at);

  /** The flow's jobs ask one after the other. */
  async function takeAll(flow: string, jobs: readonly number[], { caps = ONE, at = T0 } = {}): Promise<void> {
    for (const holder of name(flow, jobs)) await take(holder, caps, { flow, at });
  }

  /** Who is served next, each when the one before ends. */
  async function serve(count: number, at = T0): Promise<readonly string[]> {
    const served: string[] = [];
    for (let holder = "running"; served.length < count; holder = served.at(-1) ?? "")
      served.push(...(await release(holder, at)));
    return served;
  }

  describe("two of which are full by different crowds", () => {
    const owner = { name: "owner:acme", limit: 2 };
    const mac = { name: "class:mac", limit: 2 };
    const both = [owner, mac];
    const SINGLES = ["single", "second"];

    beforeEach(async () => {
      await takeAll("linux", range(0, 40), { caps: [owner] });
      await takeAll("mac", range(0, 40), { caps: [mac] });
    });

    const countKept = async (served: readonly string[]) => {
      const held = await test.redis.zrange(`{grp}:cap:${owner.name}:held`, 0, "-1");
      return held.filter((holder) => SINGLES.includes(holder) && !served.includes(holder)).length;
    };
    const checkLimits = async () => {
      for (const { used, limit } of await test.ledger.listCaps()) expect(used).to.be.at.most(limit);
    };

    it("serve who needs both, and keep one place at a time for such", async () => {
      for (const single of SINGLES) await take(single, both);
      const [served, kept]: [string[], number[]] = [[], []];
      for (const holder of range(0, 20).flatMap((job) => [`linux-${job}`, `mac-${job}`])) {
        served.push(...(await release(holder)));
        for (const single of SINGLES.filter((one) => !served.includes(one)))
          expect(await take(single, both)).to.include({ granted: false });
        kept.push(await countKept(served));
        await checkLimits();
      }
      expect(served).to.include.members(SINGLES);
      expect(served.indexOf("single")).to.be.lessThan(served.indexOf("second"));
      expect(Math.max(...kept)).to.equal(1);
    });

    it("keep nothing for one who is not the first in line", async () => {
      const [one, ten] = [
        { name: "repository:acme/k", limit: 1 },
        { name: "class:other", limit: 10 },
      ];
      await takeAll("crowd", range(0, 10), { caps: [mac] });
      await take("k", [one, mac]);
      for (let moves = 0; moves < 4; moves += 1) {
        await take(`brief-${moves}`, [one, ten]);
        await take("k", [one, mac]);
        await release(`brief-${moves}`);
        await take("k", [one, mac]);
      }
      expect(await take("other", [one, ten])).to.deep.equal({ granted: true });
    });

    it("give a kept place to the next in line when whom it was kept for leaves", async () => {
      await take("single", both);
      const served: string[] = [];
      for (const holder of range(0, 40).flatMap((job) => [`linux-${job}`, `mac-${job}`])) {
        if ((await countKept(served)) === 1) break;
        served.push(...(await release(holder)));
      }
      expect(await take("single", both)).to.include({ cap: mac.name });
      const [next] = await release("single");
      expect(next).to.match(/^linux/);
      expect(await countKept(served)).to.equal(0);
    });
  });

  it("are free of one who was forgotten and came again under another number", async () => {
    const narrow = { name: "repository:acme/app", limit: 1 };
    await take("running", [wide]);
    await take("waiter", [narrow, wide]);
    await test.redis.del("{grp}:place:running", "{grp}:place:waiter");
    const at = T0 + 3_600_000 + WAITER_TTL_MS + 1;
    await take("sibling", [narrow], { at });
    expect(await take("waiter", [narrow, wide], { at })).to.include({ cap: narrow.name });
    await release("sibling", at);
    expect(await take("waiter", [narrow, wide], { at })).to.deep.equal({ granted: true });
    expect(await test.redis.zcard(`{grp}:cap:${wide.name}:line`)).to.equal(0);
  });

  it("move up when siblings before them are cancelled", async () => {
    await take("running", ONE);
    for (const flow of ["a", "b"]) await takeAll(flow, range(0, 30));
    for (const holder of name("a", range(0, 29))) await release(holder);
    await takeAll("a", range(30, 33));
    expect(await serve(7)).to.deep.equal(["a-29", "b-0", "b-1", "a-30", "b-2", "a-31", "b-3"]);
  });

  it("are kept for those who come back after all workers were away", async () => {
    await take("running", ONE);
    for (const flow of ["a", "b"]) await takeAll(flow, range(0, 10));
    const at = T0 + WAITER_TTL_MS + 1;
    for (const flow of ["b", "a"]) await takeAll(flow, range(0, 10).toReversed(), { at });
    await takeAll("a", range(10, 20), { at });
    const served = await serve(20, at);
    expect(served.slice(0, 4)).to.have.members(["a-0", "b-0", "a-1", "b-1"]);
    expect(served).to.have.members([...name("a", range(0, 10)), ...name("b", range(0, 10))]);
  });
});
