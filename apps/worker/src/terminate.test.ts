import { InvalidSpecError, TransientError, UnauthorizedError } from "@grp/core";
import type { RunnerRecord } from "@grp/ledger";
import type { Termination } from "@grp/queue";
import { expect } from "chai";
import { provision } from "./provision.ts";
import { terminate } from "./terminate.ts";
import { type Harness, makeWork, SCOPE, useHarness } from "./testing/harness.ts";

describe("terminate", () => {
  let harness: Harness;
  useHarness((fresh) => {
    harness = fresh;
  });

  const launchOne = async () => {
    const demand = await harness.addDemand();
    await provision(harness, "ec2", demand, makeWork());
    const runners = await harness.ledger.listLiveRunners();
    return runners.find((runner) => runner.placeHolder === demand.key) as RunnerRecord;
  };
  const claimed = async () => {
    const runner = await launchOne();
    const at = harness.clock.now;
    const { runnerName } = runner;
    await harness.ledger.finishClaim({ runnerName, claimNumber: 0, runnerId: 1, at });
    harness.github.setRunner(SCOPE, { name: runnerName });
    return runner;
  };
  const run = (runner: RunnerRecord, overrides: Partial<Termination> = {}) =>
    terminate(
      harness,
      {
        version: 1,
        runnerName: runner.runnerName,
        launchId: runner.launchId,
        provider: runner.provider,
        ...(runner.instanceId === undefined ? {} : { instanceId: runner.instanceId }),
        reason: "idle",
        requestedAt: harness.clock.now,
        ...overrides,
      },
      makeWork(),
    );
  const stepOf = async (runner: RunnerRecord) => (await harness.ledger.getRunner(runner.runnerName))?.step;

  it("ends the machine, takes the runner off GitHub and hands the place to the next in line", async () => {
    const runner = await claimed();
    await launchOne();
    const waiting = await harness.addDemand();
    await provision(harness, "ec2", waiting, makeWork());
    expect(await run(runner)).to.have.nested.property("result.outcome", "gone");
    expect(await stepOf(runner)).to.equal("gone");
    expect(harness.github.names(SCOPE)).to.deep.equal([]);
    expect(harness.producer.woken).to.deep.equal([waiting.key]);
    expect(harness.lines.at(-1)).to.include({ message: "instance.reaped" });
  });

  it("waits until the provider itself says gone", async () => {
    const runner = await launchOne();
    harness.ec2.terminate = async () => "terminating";
    expect(await run(runner)).to.include({ kind: "wait", delayMs: 3_000 });
    expect(await run(runner, { requestedAt: harness.clock.now - 600_000 })).to.include({ delayMs: 60_000 });
    expect(await stepOf(runner)).to.equal("launched");
  });

  it("tells the provider in which region it was launched", async () => {
    const runner = await launchOne();
    const regions: (string | undefined)[] = [];
    harness.ec2.terminate = async (_id, _signal, region) => {
      regions.push(region);
      return "gone";
    };
    await run(runner);
    expect(regions).to.deep.equal(["us-east-1"]);
  });

  it("never ends a runner that GitHub calls busy", async () => {
    const runner = await claimed();
    harness.github.setRunner(SCOPE, { name: runner.runnerName, busy: true });
    expect(await run(runner)).to.include({ kind: "wait" });
    expect(harness.ec2.machines[0]?.state).to.equal("live");
  });

  it("takes an idle runner off GitHub before its machine ends, so that no job is given to it in between", async () => {
    const runner = await claimed();
    harness.github.deregister = async () => "busy";
    expect(await run(runner)).to.include({ kind: "wait" });
    expect(harness.ec2.machines[0]?.state).to.equal("live");
  });

  it("ends a busy runner after its class's maxRuntime", async () => {
    const runner = await claimed();
    harness.github.setRunner(SCOPE, { name: runner.runnerName, busy: true });
    expect(await run(runner, { reason: "max-runtime" })).to.include({ kind: "wait" });
    expect(harness.ec2.machines[0]?.state).to.equal("gone");
    expect(await stepOf(runner)).to.equal("gone");
  });

  it("finds a machine whose launch was never answered by its launch id", async () => {
    const demand = await harness.addDemand();
    harness.ec2.loseNextResponse("launch");
    await provision(harness, "ec2", demand, makeWork()).catch(() => undefined);
    const [runner] = await harness.ledger.listLiveRunners();
    expect(runner?.instanceId).to.equal(undefined);
    expect(await run(runner as RunnerRecord)).to.have.nested.property("result.outcome", "gone");
    expect(harness.ec2.machines[0]?.state).to.equal("gone");
  });

  it("holds a machine that nobody has seen for gone only after a while", async () => {
    const demand = await harness.addDemand();
    harness.ec2.failNext("transient", { verb: "launch" });
    await provision(harness, "ec2", demand, makeWork()).catch(() => undefined);
    const [runner] = await harness.ledger.listLiveRunners();
    expect(await run(runner as RunnerRecord)).to.include({ kind: "wait" });
    harness.clock.now += 601_000;
    expect(await run(runner as RunnerRecord)).to.have.nested.property("result.outcome", "gone");
  });

  it("gives the place back though GitHub can't be asked, and takes the runner off later", async () => {
    const runner = await claimed();
    const { runnerName } = runner;
    const at = harness.clock.now;
    await harness.ledger.recordCompleted({ workflowJobId: 1, at, runnerName, runnerId: 1 });
    harness.github.fail("deregister", new TransientError("down"));
    expect(await run(runner).catch((error: Error) => error)).to.be.instanceOf(TransientError);
    expect((await harness.ledger.listCaps())[0]?.used).to.equal(0);
    harness.github.fail("deregister", undefined);
    expect(await run(runner)).to.have.nested.property("result.outcome", "gone");
    expect(harness.github.names(SCOPE)).to.deep.equal([]);
  });

  const served = async (conclusion: string) => {
    const runner = await claimed();
    const { runnerName, placeHolder } = runner;
    const workflowJobId = Number(placeHolder.slice("wfj-".length));
    const end = { workflowJobId, runnerName, runnerId: 1, conclusion, at: harness.clock.now };
    await harness.ledger.recordCompleted(end);
    return runner;
  };

  it("asks GitHub nothing of a runner whose job succeeded: GitHub has let go of it", async () => {
    const runner = await served("success");
    const before = harness.github.calls.length;
    expect(await run(runner)).to.have.nested.property("result.outcome", "gone");
    expect(harness.github.calls.slice(before)).to.deep.equal([]);
  });

  it("takes a runner off whose job failed: its machine may have died over it", async () => {
    const runner = await served("failure");
    expect(await run(runner)).to.have.nested.property("result.outcome", "gone");
    expect(harness.github.names(SCOPE)).to.deep.equal([]);
  });

  const taken = [
    new InvalidSpecError("GitHub answered 404", { code: "404" }),
    new UnauthorizedError("not installed", { code: "app_not_installed" }),
  ];
  for (const error of taken)
    it(`ends the machine of a repository that was taken from us, and gives its place back (${error.code})`, async () => {
      const runner = await claimed();
      harness.github.fail("findRunner", error);
      expect(await run(runner)).to.have.nested.property("result.outcome", "gone");
      expect(harness.ec2.machines[0]?.state).to.equal("gone");
      expect((await harness.ledger.listCaps())[0]?.used).to.equal(0);
    });

  it("leaves what runs in such a repository alone until its class's maxRuntime", async () => {
    const runner = await claimed();
    const { runnerName } = runner;
    await harness.ledger.recordInProgress({
      workflowJobId: 1,
      at: harness.clock.now,
      runnerName,
      runnerId: 1,
    });
    harness.github.fail("findRunner", taken[0]);
    expect(await run(runner)).to.include({ kind: "wait", why: "its runner is busy" });
    expect(harness.ec2.machines[0]?.state).to.equal("live");
    expect(await run(runner, { reason: "max-runtime" })).to.have.nested.property("result.outcome", "gone");
  });

  it("spares a machine while GitHub refuses us for any other reason", async () => {
    const runner = await claimed();
    harness.github.fail("findRunner", new UnauthorizedError("bad credentials", { code: "401" }));
    expect(await run(runner).catch((error: Error) => error)).to.be.instanceOf(UnauthorizedError);
    expect(harness.ec2.machines[0]?.state).to.equal("live");
  });

  it("ends nothing in a dry run", async () => {
    const runner = await launchOne();
    const work: Termination = {
      version: 1,
      runnerName: runner.runnerName,
      launchId: runner.launchId,
      provider: "ec2",
      reason: "idle",
      requestedAt: harness.clock.now,
    };
    await terminate(harness.with({ dryRun: true }), work, makeWork());
    expect(harness.ec2.machines[0]?.state).to.equal("live");
  });
});
