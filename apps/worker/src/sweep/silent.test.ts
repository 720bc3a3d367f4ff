import { expect } from "chai";
import { provision } from "../provision.ts";
import { terminate } from "../terminate.ts";
import { type Harness, makeWork, SCOPE, useHarness } from "../testing/harness.ts";
import { GRACE_MS, MINUTE } from "../testing/world.ts";
import { createSweep } from "./sweep.ts";

/** Longer than any limit of a runner that never comes online. */
const ROUNDS = 8;

describe("sweep of a runner that claimed and of which nothing more was heard", () => {
  let harness: Harness;
  useHarness((fresh) => {
    harness = fresh;
  });

  const launchOne = async () => {
    const demand = await harness.addDemand();
    await provision(harness, "ec2", demand, makeWork());
    const [runner] = await harness.ledger.listLiveRunners();
    if (!runner) throw new Error("nothing was launched");
    const at = harness.clock.now;
    const { runnerName } = runner;
    await harness.ledger.finishClaim({ runnerName, claimNumber: 0, runnerId: 1, at });
    return { ...demand, ...runner };
  };
  /** Sweeps, and does what was enqueued, as the queue's workers would. */
  const passTime = async () => {
    const sweep = createSweep(harness, { graceMs: GRACE_MS });
    for (let round = 0; round < ROUNDS; round++) {
      harness.clock.now += 3 * MINUTE;
      await sweep(new AbortController().signal);
      for (const termination of harness.producer.terminations.splice(0))
        await terminate(harness, termination, makeWork());
      for (const { demand, provider } of harness.producer.demands.splice(0))
        await provision(harness, provider, demand, makeWork());
    }
    return harness.ec2.machines.map(({ state }) => state);
  };

  it("leaves it to its job while GitHub calls it busy", async () => {
    const { runnerName, workflowJobId } = await launchOne();
    harness.github.setRunner(SCOPE, { name: runnerName, busy: true });
    harness.github.setWorkflowJob({ id: workflowJobId, status: "in_progress", runnerName });
    expect(await passTime()).to.deep.equal(["live"]);
  });

  it("ends its machine and starts no other once GitHub says that it ran its job", async () => {
    const { key, runnerName, workflowJobId } = await launchOne();
    const end = { status: "completed", conclusion: "success" };
    harness.github.setWorkflowJob({ id: workflowJobId, ...end, runnerName });
    expect(await passTime()).to.deep.equal(["gone"]);
    expect(await harness.ledger.getWorkflowJob(key)).to.include({ servedBy: runnerName });
  });

  it("replaces it once, when GitHub says that it is not there and its job waits", async () => {
    const { workflowJobId } = await launchOne();
    harness.github.setWorkflowJob({ id: workflowJobId, status: "queued" });
    expect(await passTime()).to.deep.equal(["gone", "live"]);
  });
});
