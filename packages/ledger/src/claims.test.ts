import { expect } from "chai";
import { demand, instance, launchOne, order, startLedger, T0, type TestLedger } from "./fixtures.ts";
import type { Ledger, OpenLaunch } from "./types.ts";

const lockMs = 15_000;

describe("claims in the ledger", () => {
  let test: TestLedger;
  let ledger: Ledger;
  before(async () => {
    test = await startLedger();
    ledger = test.ledger;
  });
  beforeEach(() => test.redis.flushall());
  after(() => test.stop());

  const claim = (launchId: string, instanceId: string, at = T0 + 60_000) =>
    ledger.beginClaim({ launchId, instanceId, at, lockMs });
  const outcome = async (launchId: string, instanceId: string, at?: number) =>
    (await claim(launchId, instanceId, at)).outcome;
  /** The first claim of the launch's first runner. */
  const begun = ([runnerName = ""]: readonly string[], claimNumber = 1) => ({ runnerName, claimNumber });
  const launchMany = async (size: number, provider: "ec2" | "codemagic" = "ec2"): Promise<OpenLaunch> => {
    const demands = Array.from({ length: size }, (_, index) => demand(index + 1));
    for (const wanted of demands) await ledger.recordQueued(wanted);
    const opened = order(demands, { provider });
    await ledger.openLaunch(opened);
    return opened;
  };

  it("grants the recorded machine its runner, one mint at a time", async () => {
    const { launchId, runnerNames } = await launchOne(ledger, 1, "i-1");
    const verdict = await claim(launchId, "i-1");
    expect(verdict).to.have.keys("outcome", "launch", "runner", "claimNumber");
    expect(verdict.outcome === "granted" && verdict.runner.runnerName).to.equal(runnerNames[0]);
    expect(verdict.outcome === "granted" && verdict.launch.launchId).to.equal(launchId);
    expect(await outcome(launchId, "i-1")).to.equal("in-progress");
    expect(await outcome(launchId, "i-1", T0 + 60_000 + lockMs)).to.equal("granted");
  });

  it("lets the machine claim again at once when the mint failed", async () => {
    const { launchId, runnerNames } = await launchOne(ledger, 1, "i-1");
    await claim(launchId, "i-1");
    expect(await ledger.abandonClaim(begun(runnerNames))).to.equal(true);
    const again = await claim(launchId, "i-1");
    expect(again.outcome).to.equal("granted");
    expect(again).not.to.have.property("previousRunnerId");
  });

  it("tells which registration the same machine got before", async () => {
    const { launchId, runnerNames } = await launchOne(ledger, 1, "i-1");
    await claim(launchId, "i-1");
    const finish = { ...begun(runnerNames), runnerId: 42, at: T0 + 61_000 };
    expect(await ledger.finishClaim(finish)).to.equal("registered");
    expect(await ledger.getRunner(runnerNames[0] ?? "")).to.include({ step: "claimed", runnerId: 42 });
    expect(await claim(launchId, "i-1")).to.include({ outcome: "granted", previousRunnerId: 42 });
  });

  for (const step of ["online", "busy"] as const) {
    it(`gives no second registration to a machine whose runner is ${step}`, async () => {
      const { launchId, runnerNames } = await launchOne(ledger, 1, "i-1");
      await claim(launchId, "i-1");
      await ledger.finishClaim({ ...begun(runnerNames), runnerId: 42, at: T0 + 61_000 });
      await ledger.recordStep(runnerNames[0] ?? "", step, T0 + 62_000);
      expect(await outcome(launchId, "i-1", T0 + 99_000)).to.equal("taken");
    });
  }

  it("knows no launch that was never opened", async () => {
    expect(await outcome("l-none", "i-1")).to.equal("unknown-launch");
  });

  it("asks an EC2 machine to come back until its launch is recorded, and refuses one that was not in it", async () => {
    const { launchId } = await launchMany(2);
    expect(await outcome(launchId, "i-1")).to.equal("not-recorded");
    await ledger.recordLaunched(launchId, [instance(launchId, "i-1"), instance(launchId, "i-2")], T0);
    expect(await outcome(launchId, "i-1")).to.equal("granted");
    expect(await outcome(launchId, "i-3")).to.equal("taken");
    expect((await ledger.getLaunch(launchId))?.refusedClaims).to.equal(1);
  });

  it("gives a CodeMagic runner to the first build that comes, also before the start was answered", async () => {
    const { launchId, runnerNames } = await launchMany(1, "codemagic");
    expect(await outcome(launchId, "build-b")).to.equal("granted");
    expect(await outcome(launchId, "build-a")).to.equal("taken");
    const answered = instance(launchId, "build-a", { provider: "codemagic" });
    await ledger.recordLaunched(launchId, [answered], T0 + 61_000);
    expect(await outcome(launchId, "build-a")).to.equal("taken");
    expect(await ledger.findRunner(launchId, "build-b")).to.include({
      runnerName: runnerNames[0],
      instanceId: "build-b",
    });
    expect(await ledger.countByClass()).to.deep.include.members([
      { runnerClass: "ubuntu-arm64", scope: "repo:acme/app", demand: 1, supply: 1 },
    ]);
  });

  it("keeps the build that the provider named from losing its runner to another", async () => {
    const { launchId } = await launchMany(1, "codemagic");
    await ledger.recordLaunched(launchId, [instance(launchId, "build-a", { provider: "codemagic" })], T0);
    expect(await outcome(launchId, "build-b")).to.equal("taken");
    expect(await outcome(launchId, "build-a")).to.equal("granted");
  });

  it("does not want a machine whose demand is gone, and says so again", async () => {
    const { launchId, runnerNames } = await launchOne(ledger, 1, "i-1");
    await ledger.recordCompleted({ workflowJobId: 1, at: T0 + 9_000, conclusion: "cancelled" });
    expect(await outcome(launchId, "i-1")).to.equal("not-wanted");
    expect(await ledger.getRunner(runnerNames[0] ?? "")).to.include({ step: "finished" });
    expect(await ledger.countByClass()).to.deep.equal([]);
    await ledger.recordQueued(demand(2));
    expect(await outcome(launchId, "i-1")).to.equal("not-wanted");
  });

  it("does not want a machine for a workflow job that seems to wait, and that a runner of ours ran", async () => {
    const { launchId, runnerNames } = await launchMany(3);
    const machines = ["i-1", "i-2", "i-3"].map((id) => instance(launchId, id));
    await ledger.recordLaunched(launchId, machines, T0);
    await ledger.recordJobEnd(runnerNames[0] ?? "", T0 + 50_000);
    await ledger.recordCompleted({ workflowJobId: 3, at: T0, conclusion: "cancelled" });
    expect(await outcome(launchId, "i-2")).to.equal("granted");
    expect(await outcome(launchId, "i-3")).to.equal("not-wanted");
  });

  it("counts a claim under way as idle supply only while its lock lasts", async () => {
    const first = await launchOne(ledger, 1, "i-1");
    const second = await launchOne(ledger, 2, "i-2");
    await ledger.recordInProgress({ workflowJobId: 2, at: T0, runnerName: "elsewhere" });
    expect(await outcome(first.launchId, "i-1")).to.equal("granted");
    expect(await outcome(second.launchId, "i-2", T0 + 60_000 + lockMs)).to.equal("granted");
    await ledger.finishClaim({ ...begun(second.runnerNames), runnerId: 2, at: T0 + 80_000 });
    expect(await outcome(first.launchId, "i-1", T0 + 90_000)).to.equal("not-wanted");
  });

  describe("of a process that was frozen for longer than its lock", () => {
    const FROZEN_UNTIL = T0 + 60_000 + lockMs;
    /** Two machines, one workflow job; the first one's claim is overtaken by its next, by another process. */
    const overtake = async () => {
      const { launchId, runnerNames } = await launchMany(2);
      await ledger.recordLaunched(launchId, [instance(launchId, "i-1"), instance(launchId, "i-2")], T0);
      await ledger.recordCompleted({ workflowJobId: 2, at: T0, conclusion: "cancelled" });
      expect(await claim(launchId, "i-1")).to.include({ outcome: "granted", claimNumber: 1 });
      expect(await claim(launchId, "i-1", FROZEN_UNTIL)).to.include({ outcome: "granted", claimNumber: 2 });
      const finish = { ...begun(runnerNames, 2), runnerId: 2, at: FROZEN_UNTIL };
      return { launchId, runnerNames, finish };
    };

    it("does not give up what another process has finished: no second machine is granted for one job", async () => {
      const { launchId, runnerNames, finish } = await overtake();
      expect(await ledger.finishClaim(finish)).to.equal("registered");
      expect(await ledger.abandonClaim(begun(runnerNames), T0 + 99_000)).to.equal(false);
      expect(await ledger.getRunner(runnerNames[0] ?? "")).not.to.have.property("comesBackAt");
      expect(await outcome(launchId, "i-2", FROZEN_UNTIL)).to.equal("not-wanted");
    });

    it("does not open the lock of another process, nor forget what that has registered", async () => {
      const { launchId, runnerNames, finish } = await overtake();
      const [runnerName = ""] = runnerNames;
      await ledger.abandonClaim(begun(runnerNames));
      expect(await outcome(launchId, "i-1", FROZEN_UNTIL)).to.equal("in-progress");
      await ledger.finishClaim(finish);
      await ledger.forgetRegistration({ runnerName, runnerId: 1 });
      expect(await ledger.getRunner(runnerName)).to.include({ step: "claimed", runnerId: 2 });
      await ledger.forgetRegistration({ runnerName, runnerId: 2 });
      expect(await ledger.getRunner(runnerName)).not.to.have.property("runnerId");
    });

    it("is told that its registration came too late, and leaves the other one's as it is", async () => {
      const { runnerNames, finish } = await overtake();
      const late = { ...begun(runnerNames), runnerId: 1, at: FROZEN_UNTIL };
      expect(await ledger.finishClaim(late)).to.equal("overtaken");
      expect(await ledger.finishClaim(finish)).to.equal("registered");
      expect(await ledger.finishClaim(late)).to.equal("overtaken");
      expect(await ledger.getRunner(runnerNames[0] ?? "")).to.include({ step: "claimed", runnerId: 2 });
    });
  });

  it("registers no more runners than there is demand when fifty machines claim at once, each three times", async () => {
    const { launchId } = await launchMany(50);
    const instances = Array.from({ length: 50 }, (_, index) => instance(launchId, `i-${index}`));
    await ledger.recordLaunched(launchId, instances, T0);
    for (let id = 1; id <= 30; id++) {
      await ledger.recordCompleted({ workflowJobId: id, at: T0, conclusion: "cancelled" });
    }
    const replicas = Array.from({ length: 4 }, () => test.another());
    const outcomes = await Promise.all(
      [...instances, ...instances, ...instances].map(async ({ instanceId }, index) => {
        const verdict = await replicas[index % 4]?.beginClaim({
          launchId,
          instanceId,
          at: T0 + 60_000,
          lockMs,
        });
        if (verdict?.outcome === "granted") {
          const { claimNumber, runner } = verdict;
          const claim = { runnerName: runner.runnerName, claimNumber };
          await replicas[index % 4]?.finishClaim({ ...claim, runnerId: index + 1, at: T0 + 60_500 });
        }
        return verdict?.outcome === "granted" ? instanceId : undefined;
      }),
    );
    expect(new Set(outcomes.filter((id) => id !== undefined)).size).to.equal(20);
  });

  it("keeps the registration's number of a runner that ended meanwhile, so that it can be taken off GitHub", async () => {
    const { launchId, runnerNames } = await launchOne(ledger, 1, "i-1");
    await claim(launchId, "i-1");
    await ledger.recordStep(runnerNames[0] ?? "", "gone", T0 + 60_500);
    const finish = { ...begun(runnerNames), runnerId: 42, at: T0 + 61_000 };
    expect(await ledger.finishClaim(finish)).to.equal("ended");
    expect(await ledger.getRunner(runnerNames[0] ?? "")).to.include({ step: "gone", runnerId: 42 });
    expect(await test.redis.keys("*claimed*")).to.deep.equal([]);
  });
});
