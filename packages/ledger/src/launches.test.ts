import { expect } from "chai";
import {
  demand,
  instance,
  launchOne,
  order,
  permutations,
  startLedger,
  T0,
  type TestLedger,
} from "./fixtures.ts";
import type { Ledger } from "./types.ts";

const pool = { runnerClass: "ubuntu-arm64", scope: "repo:acme/app" };

describe("launches and runners in the ledger", () => {
  let test: TestLedger;
  let ledger: Ledger;
  before(async () => {
    test = await startLedger();
    ledger = test.ledger;
  });
  beforeEach(() => test.redis.flushall());
  after(() => test.stop());

  const queue = async (...ids: number[]) => {
    const demands = ids.map((id) => demand(id));
    for (const wanted of demands) await ledger.recordQueued(wanted);
    return demands;
  };

  it("writes the launch and its runners down before any provider is called", async () => {
    const demands = await queue(1, 2);
    const wanted = order(demands);
    const verdict = await ledger.openLaunch(wanted);
    expect(verdict.opened).to.have.property("isNew", true);
    const { at, ...rest } = wanted;
    const record = { ...rest, openedAt: at, size: 2, state: "open" };
    expect(await ledger.getLaunch(wanted.launchId)).to.deep.equal(record);
    expect(verdict.opened?.launch).to.deep.equal(record);
    expect(await ledger.getRunner(wanted.runnerNames[1] ?? "")).to.deep.equal({
      runnerName: wanted.runnerNames[1],
      launchId: wanted.launchId,
      provider: "ec2",
      runnerClass: "ubuntu-arm64",
      scope: demands[0]?.scope,
      step: "launching",
      times: { launching: at },
      placeHolder: "wfj-2",
      notes: [],
    });
    expect(await ledger.countByClass()).to.deep.equal([{ ...pool, demand: 2, supply: 2 }]);
    expect((await ledger.getWorkflowJob("wfj-1"))?.launchIds).to.deep.equal([wanted.launchId]);
  });

  it("opens the same launch once, and then gives it as it stands", async () => {
    const wanted = order(await queue(1));
    await ledger.openLaunch(wanted);
    await ledger.recordPlacement(wanted.launchId, "subnet-a t4g.large");
    const again = await ledger.openLaunch({ ...wanted, at: T0 + 99_000, ticketExpiresAt: 1 });
    expect(again.opened).to.have.property("isNew", false);
    const launch = await ledger.getLaunch(wanted.launchId);
    expect(launch).to.include({
      placement: "subnet-a t4g.large",
      openedAt: wanted.at,
      ticketExpiresAt: wanted.ticketExpiresAt,
    });
  });

  it("is locked for whoever opened it, in the same step; not for one who finds it", async () => {
    const wanted = order(await queue(1));
    const name = `launch:${wanted.launchId}`;
    const lock = { name, owner: "opener", ttlMs: 60_000 };
    const first = await ledger.openLaunch({ ...wanted, lock });
    expect(first.opened).to.include({ isNew: true, isLocked: true });
    const second = await ledger.openLaunch({ ...wanted, lock: { ...lock, owner: "finder" } });
    expect(second.opened).to.include({ isNew: false, isLocked: false });
    expect(await ledger.tryLock(name, "finder", 1_000)).to.equal(false);
    // Opened anew while whoever saw it fail has the lock still.
    await ledger.recordLaunchFailed(wanted.launchId, { at: T0, kind: "no-capacity", text: "full" });
    const third = await ledger.openLaunch({ ...wanted, lock: { ...lock, owner: "third" } });
    expect(third.opened).to.include({ isNew: true, isLocked: false });
  });

  it("gives of an order in which one stands twice exactly what it wrote down", async () => {
    const [first, second] = await queue(1, 2);
    if (!first || !second) throw new Error("two demands");
    const place = { caps: [], provider: "ec2" as const, flow: "acme/app", rank: 0, at: T0, ttlMs: 60_000 };
    await ledger.takePlace({ ...place, holder: "wfj-1" });
    const verdict = await ledger.openLaunch(order([first, first, second]));
    expect(verdict.opened?.launch).to.deep.equal(
      await ledger.getLaunch(verdict.opened?.launch.launchId ?? ""),
    );
    expect(verdict.opened?.launch.placeHolders).to.deep.equal(["wfj-1", "wfj-2"]);
  });

  it("opens nothing when supply meets demand, and no more than what is missing", async () => {
    const [first, second, third] = await queue(1, 2, 3);
    if (!first || !second || !third) throw new Error("three demands");
    await ledger.openLaunch(order([first]));
    await ledger.recordInProgress({ workflowJobId: 2, at: T0, runnerName: "elsewhere" });
    const verdict = await ledger.openLaunch(order([second, third]));
    expect(verdict.opened?.launch).to.deep.include({ size: 1, placeHolders: ["wfj-2"] });
    expect(verdict.opened?.launch.runnerNames).to.have.length(1);
    expect([...verdict.leftOver]).to.deep.equal([["wfj-3", "covered"]]);
    expect((await ledger.getWorkflowJob("wfj-3"))?.launchIds).to.deep.equal([]);
    const another = await ledger.openLaunch(order([third]));
    expect([another.opened, ...another.leftOver]).to.deep.equal([undefined, ["wfj-3", "covered"]]);
    expect(await ledger.countByClass()).to.deep.equal([{ ...pool, demand: 2, supply: 2 }]);
  });

  it("starts no second machine for a place that has one", async () => {
    const [first, second] = await queue(1, 2);
    if (!first || !second) throw new Error("two demands");
    const place = { caps: [], provider: "ec2" as const, flow: "acme/app", rank: 0, at: T0, ttlMs: 60_000 };
    await ledger.takePlace({ ...place, holder: "wfj-1" });
    const alone = order([first]);
    await ledger.openLaunch(alone);
    const together = await ledger.openLaunch(order([first, second]));
    expect([...together.leftOver]).to.deep.equal([["wfj-1", "busy"]]);
    expect(together.opened?.launch.placeHolders).to.deep.equal(["wfj-2"]);
    await ledger.recordLaunchFailed(alone.launchId, { at: T0, kind: "no-capacity", text: "full" });
    const later = await ledger.openLaunch(order([first], { launchId: "l-later" }));
    expect(later.opened?.launch.placeHolders).to.deep.equal(["wfj-1"]);
  });

  it("reads each earlier launch once, however many of its demands come again", async () => {
    const demands = await queue(...Array.from({ length: 50 }, (_, index) => index + 1));
    for (let renewal = 0; renewal < 4; renewal++) {
      const launchId = `l-${renewal}`;
      await ledger.openLaunch(order(demands, { launchId, renewal }));
      await ledger.recordLaunchFailed(launchId, { at: T0, kind: "no-capacity", text: "no room" });
    }
    await test.redis.config("RESETSTAT");
    await ledger.openLaunch(order(demands, { launchId: "l-4", renewal: 4 }));
    const stats = await test.redis.info("commandstats");
    const reads = Number(/cmdstat_hmget:calls=(\d+)/.exec(stats)?.[1]);
    // One of each demand, and of each earlier launch.
    expect(reads).to.equal(50 + 4);
  });

  it("opens exactly as many machines as there is demand when fifty workers open at once", async () => {
    const demands = await queue(...Array.from({ length: 20 }, (_, index) => index + 1));
    const workers = Array.from({ length: 5 }, () => test.another());
    const orders = Array.from({ length: 50 }, (_, index) =>
      order([demands[index % 20] ?? demand(1)], { launchId: `l-${index}` }),
    ).map((each, index) => ({ ...each, runnerNames: [`grp-${index}-0`] }));
    const verdicts = await Promise.all(orders.map((each, index) => workers[index % 5]?.openLaunch(each)));
    expect(verdicts.filter((verdict) => verdict?.opened)).to.have.length(20);
    expect(await ledger.countByClass()).to.deep.equal([{ ...pool, demand: 20, supply: 20 }]);
    expect(await ledger.listLiveRunners()).to.have.length(20);
  });

  it("gives each instance a runner, and drops the runners that the provider did not start", async () => {
    const wanted = order(await queue(1, 2, 3));
    await ledger.openLaunch(wanted);
    const started = [instance(wanted.launchId, "i-1"), instance(wanted.launchId, "i-2")];
    for (let repeat = 0; repeat < 2; repeat++) {
      const shares = await ledger.recordLaunched(wanted.launchId, started, T0 + 5_000);
      expect([...shares]).to.deep.equal([
        ["wfj-1", "i-1"],
        ["wfj-2", "i-2"],
      ]);
    }
    const launch = await ledger.getLaunch(wanted.launchId);
    expect(launch?.state).to.equal("launched");
    expect(launch?.instances).to.deep.equal(started);
    for (const only of [{ placeHolder: "wfj-2" }, { instanceId: "i-2" }])
      expect((await ledger.getLaunch(wanted.launchId, only))?.instances).to.deep.equal([started[1]]);
    expect((await ledger.getLaunch(wanted.launchId, { placeHolder: "wfj-3" }))?.instances).to.deep.equal([]);
    expect(await ledger.findRunner(wanted.launchId, "i-2")).to.include({
      runnerName: wanted.runnerNames[1],
      step: "launched",
      instanceId: "i-2",
    });
    const second = await ledger.findRunner(wanted.launchId, "i-2");
    expect(second?.instance).to.deep.equal(started[1]);
    expect(await ledger.findRunner(wanted.launchId, "i-3")).to.equal(null);
    expect((await ledger.getRunner(wanted.runnerNames[2] ?? ""))?.step).to.equal("gone");
    expect(await ledger.countByClass()).to.deep.equal([{ ...pool, demand: 3, supply: 2 }]);
    expect((await ledger.listLiveRunners()).map((runner) => runner.instanceId)).to.deep.equal(["i-1", "i-2"]);
  });

  it("opens a failed launch again as if it were new", async () => {
    const wanted = order(await queue(1));
    await ledger.openLaunch(wanted);
    await ledger.recordPlacement(wanted.launchId, "subnet-a");
    const name = wanted.runnerNames[0] ?? "";
    const why = { at: T0 + 3_000, kind: "no-capacity", text: "InsufficientInstanceCapacity" };
    await ledger.recordLaunchFailed(wanted.launchId, why);
    expect(await ledger.getRunner(name)).to.deep.include({ step: "gone", notes: [why] });
    expect(await ledger.countByClass()).to.deep.equal([{ ...pool, demand: 1, supply: 0 }]);
    const again = await ledger.openLaunch({ ...wanted, at: T0 + 60_000 });
    expect(again.opened?.isNew).to.equal(true);
    expect(again.opened?.launch).not.to.have.property("placement");
    expect(await ledger.getRunner(name)).to.deep.include({
      step: "launching",
      times: { launching: T0 + 60_000 },
    });
    expect(await ledger.countByClass()).to.deep.equal([{ ...pool, demand: 1, supply: 1 }]);
  });

  it("does not take a launch back that was answered", async () => {
    const wanted = await launchOne(ledger, 1, "i-1");
    await ledger.recordLaunchFailed(wanted.launchId, { at: T0, kind: "failed", text: "late" });
    expect((await ledger.getLaunch(wanted.launchId))?.state).to.equal("launched");
    expect(await ledger.countByClass()).to.deep.equal([{ ...pool, demand: 1, supply: 1 }]);
  });

  it("moves a runner forward only, and still notes when a late step happened", async () => {
    const name = (await launchOne(ledger, 1, "i-1")).runnerNames[0] ?? "";
    expect(await ledger.recordStep(name, "online", T0 + 40_000)).to.equal(true);
    expect(await ledger.recordStep(name, "booted", T0 + 30_000)).to.equal(false);
    expect(await ledger.recordStep(name, "online", T0 + 50_000)).to.equal(false);
    const runner = await ledger.getRunner(name);
    expect(runner?.step).to.equal("online");
    expect(runner?.times).to.include({ booted: T0 + 30_000, online: T0 + 40_000 });
  });

  it("ends the same in whatever order the steps of a runner become known", async function () {
    this.timeout(30_000);
    const ends = new Set<string>();
    for (const sequence of permutations([0, 1, 2, 3, 4])) {
      await test.redis.flushall();
      const { runnerNames } = await launchOne(ledger, 1, "i-1");
      const name = runnerNames[0] ?? "";
      const update = { workflowJobId: 1, runnerName: name, runnerId: 42 };
      const events = [
        () => ledger.recordStep(name, "booted", T0 + 30_000),
        () => ledger.finishClaim({ runnerName: name, claimNumber: 0, runnerId: 42, at: T0 + 31_000 }),
        () => ledger.recordStep(name, "online", T0 + 35_000),
        () => ledger.recordInProgress({ ...update, at: T0 + 36_000 }),
        () => ledger.recordCompleted({ ...update, at: T0 + 60_000 }),
      ];
      for (const index of sequence) await events[index]?.();
      const { times, ...runner } = (await ledger.getRunner(name)) ?? { times: {} };
      const sets = await test.redis.keys("{grp}:*:ubuntu*");
      ends.add(JSON.stringify([runner, Object.entries(times).sort(), sets]));
    }
    expect(ends.size).to.equal(1);
    expect([...ends][0])
      .to.include(`"step":"finished"`)
      .and.include("[]]");
  });

  it("takes a runner out of the supply when it is busy, and off the live list when it is gone", async () => {
    const name = (await launchOne(ledger, 1, "i-1")).runnerNames[0] ?? "";
    await ledger.recordStep(name, "busy", T0 + 40_000);
    expect(await ledger.countByClass()).to.deep.equal([{ ...pool, demand: 0, supply: 0 }]);
    await ledger.recordStep(name, "finished", T0 + 50_000);
    expect(await ledger.listLiveRunners()).to.have.length(1);
    const why = { at: T0 + 60_000, kind: "reaped", text: "finished" };
    await ledger.recordStep(name, "gone", T0 + 60_000, why);
    expect(await ledger.listLiveRunners()).to.deep.equal([]);
    expect((await ledger.getRunner(name))?.notes).to.deep.equal([why]);
  });

  for (const { when, tell } of [
    { when: "runs one", tell: (name: string, at: number) => ledger.recordStep(name, "busy", at) },
    { when: "ran one", tell: (name: string, at: number) => ledger.recordJobEnd(name, at) },
  ]) {
    it(`launches for no workflow job too many while no delivery says which a runner ${when}`, async () => {
      const [, second] = await queue(1, 2);
      const name = (await launchOne(ledger, 1, "i-1")).runnerNames[0] ?? "";
      await tell(name, T0);
      const wanted = order([second as NonNullable<typeof second>, demand(1, { generation: 2 })]);
      const { opened, leftOver } = await ledger.openLaunch(wanted);
      expect(opened?.launch.size).to.equal(1);
      expect([...leftOver.values()]).to.deep.equal(["covered"]);
      await ledger.recordInProgress({ workflowJobId: 1, at: T0 + 5_000, runnerName: name });
      expect(await ledger.countByClass()).to.deep.equal([{ ...pool, demand: 1, supply: 1 }]);
    });

    it(`believes the deliveries again when none comes of the workflow job that a runner ${when}`, async () => {
      const name = (await launchOne(ledger, 1, "i-1")).runnerNames[0] ?? "";
      await tell(name, T0 - 5 * 60_000);
      expect(await ledger.countByClass()).to.deep.equal([{ ...pool, demand: 1, supply: 0 }]);
    });
  }

  it("knows nothing of a runner it never opened", async () => {
    expect(await ledger.recordStep("grp-none-0", "booted", T0)).to.equal(false);
    expect(await ledger.getRunner("grp-none-0")).to.equal(null);
    expect(await ledger.getLaunch("l-none")).to.equal(null);
    await ledger.recordPlacement("l-none", "subnet-a");
    await ledger.recordLaunched("l-none", [], T0);
    await ledger.recordLaunchFailed("l-none", { at: T0, kind: "failed", text: "" });
    expect(await test.redis.dbsize()).to.equal(0);
  });
});
