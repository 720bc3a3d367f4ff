import { expect } from "chai";
import { startLedger, T0, type TestLedger } from "./fixtures.ts";
import { createMemory } from "./memory.ts";
import { createStore } from "./store.ts";

describe("what all processes remember", () => {
  let test: TestLedger;
  before(async () => {
    test = await startLedger();
  });
  beforeEach(() => test.redis.flushall());
  after(() => test.stop());

  it("forgets a mark after its time", async () => {
    await test.ledger.setMark("deliveries", "12", 9_000);
    expect(await test.redis.pttl("{grp}:mark:deliveries")).to.be.within(8_000, 9_000);
  });

  it("keeps the last value of a mark, and knows none that was never set", async () => {
    expect(await test.ledger.getMark("deliveries")).to.equal(null);
    await test.ledger.setMark("deliveries", "1", 60_000);
    await test.ledger.setMark("deliveries", "2", 60_000);
    expect(await test.another().getMark("deliveries")).to.equal("2");
  });

  it("says for seven days why a workflow job was ignored, in a few bytes", async () => {
    const ignored = {
      workflowJobId: 30_433_642_001,
      owner: "acme",
      repository: "app",
      reason: "labels" as const,
      labels: ["windows", "x64"],
      at: T0,
    };
    await test.ledger.recordIgnored(ignored);
    expect(await test.another().getIgnored(30_433_642_001)).to.deep.equal(ignored);
    expect(await test.ledger.getIgnored(1)).to.equal(null);
    expect(await test.redis.memory("USAGE", "{grp}:ignored:30433642001")).to.be.below(300);
    expect(await test.redis.pttl("{grp}:ignored:30433642001")).to.be.above(6.9 * 86_400_000);
  });

  it("bounds what a strange list of labels may take", async () => {
    const labels = Array.from({ length: 1_000 }, () => "x".repeat(5_000));
    const where = { owner: "acme", repository: "app", reason: "labels" as const, at: T0 };
    await test.ledger.recordIgnored({ ...where, workflowJobId: 1, labels });
    expect(await test.redis.strlen("{grp}:ignored:1")).to.be.below(12_000);
  });

  it("remembers only the last ten thousand ignored, by time, however often one comes", async () => {
    const store = createStore(test.redis, { prefix: "{grp}:", retentionMs: 86_400_000, now: () => T0 });
    const { recordIgnored, getIgnored } = createMemory(store, 3);
    const where = { owner: "acme", repository: "app", reason: "labels" as const, labels: ["windows"] };
    for (const [at, workflowJobId] of [90, 4, 5, 90, 6].entries())
      await recordIgnored({ ...where, workflowJobId, at: T0 + at });
    expect(await getIgnored(4)).to.equal(null);
    expect(await getIgnored(90)).to.deep.include({ at: T0 + 3 });
    expect((await test.redis.keys("{grp}:ignored:*")).sort()).to.deep.equal([
      ...["{grp}:ignored:5", "{grp}:ignored:6", "{grp}:ignored:90"],
    ]);
  });

  it("shows a warning from its first sight until some time after its last", async () => {
    const warning = { kind: "runner-version", text: "2.1 | old", ttlMs: 1_000 };
    expect(await test.ledger.raiseWarning({ ...warning, at: T0 })).to.equal(true);
    expect(await test.another().raiseWarning({ ...warning, at: T0 + 900 })).to.equal(false);
    const { ttlMs: _ttlMs, ...shown } = warning;
    expect(await test.ledger.listWarnings(T0 + 1_800)).to.deep.equal([{ ...shown, since: T0, at: T0 + 900 }]);
    expect(await test.ledger.listWarnings(T0 + 1_900)).to.deep.equal([]);
    expect(await test.ledger.raiseWarning({ ...warning, text: "other", at: T0 + 2_000 })).to.equal(true);
    expect(await test.redis.hlen("{grp}:warnings")).to.equal(1);
  });

  it("warns that no sweep ends any more once five are missed, whoever looks, until one does", async () => {
    const { ledger } = test;
    const kinds = async (at: number) =>
      (await ledger.listWarnings(at)).map(({ kind, since }) => [kind, since - T0]);
    expect(await ledger.getLastSweep()).to.equal(null);
    expect(await kinds(T0)).to.deep.equal([]);
    await ledger.recordSweep({ at: T0, everyMs: 60_000 });
    expect(await test.another().getLastSweep()).to.deep.equal({ at: T0, everyMs: 60_000 });
    expect(await kinds(T0 + 300_000)).to.deep.equal([]);
    expect(await kinds(T0 + 300_001)).to.deep.equal([["sweep", 300_000]]);
    await ledger.recordSweep({ at: T0 + 400_000, everyMs: 1_000 });
    expect(await kinds(T0 + 550_000)).to.deep.equal([]);
    expect(await kinds(T0 + 550_001)).to.deep.equal([["sweep", 550_000]]);
    expect(await test.redis.pttl("{grp}:last-sweep")).to.be.above(0);
  });
});
