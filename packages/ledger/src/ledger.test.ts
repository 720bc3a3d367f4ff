import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { Cluster, Redis } from "ioredis";
import { startRedis } from "../../../test/support/redis.ts";
import { demand, instance, launchOne, order, startLedger, T0, type TestLedger } from "./fixtures.ts";
import { createLedger } from "./ledger.ts";
import type { Ledger } from "./types.ts";

/** One job from queued to gone, everything on the way. */
async function serve(ledger: Ledger, id: number, at: number): Promise<void> {
  const wanted = demand(id, { queuedAt: at, receivedAt: at });
  const opened = order([wanted], { at });
  const [name = ""] = opened.runnerNames;
  const caps = [{ name: "class:ubuntu-arm64", limit: 10 }];
  await ledger.recordQueued(wanted);
  await ledger.markEnqueued(wanted.key, at);
  await ledger.takePlace({
    caps,
    holder: wanted.key,
    provider: "ec2",
    flow: "acme/app",
    rank: 0,
    at,
    ttlMs: 3_600_000,
  });
  await ledger.openLaunch(opened);
  await ledger.recordPlacement(opened.launchId, "us-east-1 subnet-0123456789abcdef0 t4g.large");
  await ledger.recordLaunched(opened.launchId, [instance(opened.launchId, `i-${id}`)], at);
  await ledger.recordStep(name, "booted", at);
  await ledger.beginClaim({ launchId: opened.launchId, instanceId: `i-${id}`, at, lockMs: 15_000 });
  await ledger.finishClaim({ runnerName: name, claimNumber: 1, runnerId: id, at });
  await ledger.recordStep(name, "online", at);
  const update = { workflowJobId: id, at, runnerName: name, runnerId: id };
  await ledger.recordInProgress(update);
  await ledger.recordCompleted({ ...update, conclusion: "success" });
  await ledger.releasePlace(wanted.key, at);
  await ledger.recordStep(name, "gone", at);
}

/** Twenty jobs' whole way must fit into it, on a slow computer too. */
const RETENTION_MS = 2_500;

describe("the ledger", () => {
  let test: TestLedger;
  before(async () => {
    test = await startLedger({ retentionMs: RETENTION_MS });
  });
  beforeEach(() => test.redis.flushall());
  after(() => test.stop());

  it("forgets every record after the retention, its indexes too", async () => {
    for (let id = 1; id <= 20; id++) await serve(test.ledger, id, T0 + id);
    expect(await test.redis.zcard("{grp}:jobs")).to.equal(20);
    expect(await test.ledger.countByClass()).to.deep.equal([]);
    await sleep(RETENTION_MS + 100);
    await test.ledger.recordQueued(demand(99, { queuedAt: T0 + 9_999, receivedAt: T0 + 9_999 }));
    const left = await test.redis.keys("*");
    const expected = ["jobs", "job:wfj-99", "pools", "demand:ubuntu-arm64|repo:acme/app", "caps", "arrivals"];
    expect(left).to.have.members(expected.map((name) => `{grp}:${name}`));
    expect(await test.redis.zcard("{grp}:jobs")).to.equal(1);
  });

  it("takes text that is no valid Unicode, in names and in notes", async () => {
    const repository = "half \ud800 pair";
    const scope = { kind: "repository", owner: "Acme", repository } as const;
    await test.ledger.recordQueued(demand(1, { repository, scope, labels: ["\\ud800 \udfff"] }));
    await test.ledger.addNote("wfj-1", { at: T0, kind: "note", text: "\ud83d" });
    await test.ledger.setWaitsFor("wfj-1", "\ud83d");
    const record = await test.ledger.getWorkflowJob("wfj-1");
    expect(record).to.include({ demandState: "waiting", waitsFor: "\ufffd" });
    expect(record?.notes).to.have.length(1);
    expect(await test.ledger.countByClass()).to.have.length(1);
  });

  it("drops from its sets what was left there longer than the retention", async () => {
    await launchOne(test.ledger, 1, "i-1");
    await sleep(RETENTION_MS + 100);
    expect(await test.ledger.listLiveRunners()).to.deep.equal([]);
    expect(await test.redis.exists("{grp}:live")).to.equal(0);
    const later = demand(2, { receivedAt: T0 + 9_999 });
    await test.ledger.recordQueued(later);
    expect((await test.ledger.openLaunch(order([later], { at: T0 + 9_999 }))).opened?.launch.size).to.equal(
      1,
    );
    const [count] = await test.ledger.countByClass();
    expect(count).to.include({ demand: 1, supply: 1 });
  });

  it("keeps every key under one hash tag", async () => {
    await serve(test.ledger, 1, T0);
    await launchOne(test.ledger, 2, "i-2");
    const keys = await test.redis.keys("*");
    expect(keys.filter((key) => !key.startsWith("{grp}:"))).to.deep.equal([]);
  });

  it("keeps a finished workflow job, its launch and its runner small", async function () {
    this.timeout(60_000);
    const ledger = createLedger({ redis: test.redis });
    await serve(ledger, 1, T0);
    const used = async () =>
      Number(/used_memory_dataset:(\d+)/.exec(await test.redis.info("memory"))?.[1] ?? Number.NaN);
    const before = await used();
    for (let id = 30_000_000_000; id < 30_000_000_500; id++) await serve(ledger, id, T0 + (id % 1_000));
    const each = ((await used()) - before) / 500;
    expect(each).to.be.below(4_000);
    for (const key of await test.redis.keys("{grp}:{job,runner,launch}:*")) {
      expect(await test.redis.object("ENCODING", key)).to.equal("listpack");
    }
  });

  it("works on a Redis Cluster", async () => {
    const server = await startRedis({
      args: ["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"],
    });
    const node = new Redis(server.url);
    await node.cluster("ADDSLOTSRANGE", 0, 16_383);
    const cluster = new Cluster([{ host: "127.0.0.1", port: server.port }]);
    try {
      const ledger = createLedger({ redis: cluster });
      await serve(ledger, 1, T0);
      await launchOne(ledger, 2, "i-2");
      expect(await ledger.listLiveRunners()).to.have.length(1);
      expect((await ledger.listWorkflowJobs(10)).map((record) => record.demandState)).to.have.length(2);
      expect(await ledger.listCaps()).to.have.length(1);
      expect(await ledger.countByClass()).to.have.length(1);
    } finally {
      cluster.disconnect();
      node.disconnect();
      await server.stop();
    }
  });

  it("goes on when Redis was restarted and knows no script any more", async () => {
    await test.ledger.recordQueued(demand(1));
    await test.redis.script("FLUSH");
    expect(await test.ledger.recordQueued(demand(1))).to.include({ isNew: false });
    const all = await Promise.all([2, 3, 4].map((id) => test.ledger.recordQueued(demand(id))));
    expect(all.every((verdict) => verdict.isNew)).to.equal(true);
  });

  it("rejects within the client's deadline when Redis does not answer", async () => {
    const redis = new Redis(test.server.url, { commandTimeout: 200, retryStrategy: null });
    redis.on("error", () => {});
    const ledger = createLedger({ redis });
    await ledger.getWorkflowJob("wfj-1");
    test.server.pause();
    try {
      const error: unknown = await ledger.recordQueued(demand(1)).catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(Error);
      expect(String(error)).to.match(/timed out/);
    } finally {
      test.server.resume();
      redis.disconnect();
    }
  });
});

describe("locks in the ledger", () => {
  let test: TestLedger;
  before(async () => {
    test = await startLedger();
  });
  after(() => test.stop());

  it("has one owner at a time, who may renew it and alone give it back", async () => {
    const { ledger } = test;
    expect(await ledger.tryLock("sweep", "a", 60_000)).to.equal(true);
    expect(await ledger.tryLock("sweep", "b", 60_000)).to.equal(false);
    expect(await ledger.tryLock("sweep", "a", 60_000)).to.equal(true);
    await ledger.unlock("sweep", "b");
    expect(await ledger.tryLock("sweep", "b", 60_000)).to.equal(false);
    await ledger.unlock("sweep", "a");
    expect(await ledger.tryLock("sweep", "b", 60_000)).to.equal(true);
  });

  it("ends by itself", async () => {
    await test.ledger.tryLock("short", "a", 50);
    await sleep(100);
    expect(await test.ledger.tryLock("short", "b", 50)).to.equal(true);
  });

  it("goes to one of fifty who ask at once", async () => {
    const others = Array.from({ length: 5 }, () => test.another());
    const asked = Array.from({ length: 50 }, (_, index) =>
      others[index % 5]?.tryLock("one", `o-${index}`, 60_000),
    );
    expect((await Promise.all(asked)).filter(Boolean)).to.have.length(1);
  });
});
