import { RateLimitedError, TransientError } from "@grp/core";
import { expect } from "chai";
import { provision } from "./provision.ts";
import { type Harness, makeWork, useHarness } from "./testing/harness.ts";

const HOUR = 3_600_000;
const OURS = "grp-0123456789abcdef01234567-0";

describe("a workflow job that is heard of late", () => {
  let harness: Harness;
  useHarness((fresh) => {
    harness = fresh;
  });

  const addLate = () =>
    harness.addDemand({
      runnerClass: "farm",
      queuedAt: harness.clock.now - 48 * HOUR,
      receivedAt: harness.clock.now,
    });
  const run = (demand: Awaited<ReturnType<typeof addLate>>) => provision(harness, "ec2", demand, makeWork());
  const asked = () => harness.github.calls.filter((call) => call === "getWorkflowJob");

  it("starts no machine when it is long over, and the ledger knows what GitHub says", async () => {
    const demands = await Promise.all(Array.from({ length: 20 }, addLate));
    for (const { workflowJobId } of demands)
      harness.github.setWorkflowJob({ id: workflowJobId, status: "completed", conclusion: "cancelled" });
    const outcomes = await Promise.all(demands.map(run));
    expect(harness.ec2.machines).to.have.length(0);
    expect(asked()).to.have.length(20);
    for (const outcome of outcomes)
      expect(outcome).to.deep.include({ kind: "done", result: { outcome: "skipped", why: "completed" } });
    const record = await harness.ledger.getWorkflowJob(demands[0]?.key ?? "");
    expect(record).to.include({ workflowJobState: "completed", conclusion: "cancelled" });
    expect(await harness.ledger.listOpenDemands()).to.deep.equal([]);
  });

  it("starts none when another's runner has it", async () => {
    const demand = await addLate();
    const runnerName = "somebody-else";
    harness.github.setWorkflowJob({ id: demand.workflowJobId, status: "in_progress", runnerName });
    expect(await run(demand)).to.have.nested.property("result.why", "in_progress");
    expect(harness.ec2.machines).to.have.length(0);
  });

  it("gets its machine when GitHub says that it waits, and GitHub is asked once", async () => {
    const demand = await addLate();
    harness.github.setWorkflowJob({ id: demand.workflowJobId });
    harness.ec2.failNext("rate-limited", { verb: "launch" });
    await run(demand).catch(() => undefined);
    await run(demand);
    expect(harness.ec2.machines).to.have.length(1);
    expect(asked()).to.have.length(1);
    const record = await harness.ledger.getWorkflowJob(demand.key);
    expect(record?.notes.map(({ text }) => text)).to.deep.equal([
      "heard of 2880 min after it was queued; GitHub says: queued",
    ]);
  });

  it("gets it too when GitHub can't be asked, or knows nothing of it", async () => {
    for (const error of [new TransientError("502"), new RateLimitedError("slow", { retryAfterMs: HOUR })]) {
      harness.github.fail("getWorkflowJob", error);
      await run(await addLate());
    }
    harness.github.fail("getWorkflowJob", undefined);
    await run(await addLate());
    expect(harness.ec2.machines).to.have.length(3);
  });

  it("leaves a machine to the sibling whose own it took", async () => {
    const [late, sibling] = [await addLate(), await harness.addDemand({ runnerClass: "farm" })];
    harness.github.setWorkflowJob({ id: late.workflowJobId, status: "in_progress", runnerName: OURS });
    await run(late);
    await run(sibling);
    expect(harness.ec2.machines).to.have.length(1);
  });

  it("is not asked about when it came in time", async () => {
    await run(
      await harness.addDemand({ queuedAt: harness.clock.now - HOUR / 10, receivedAt: harness.clock.now }),
    );
    expect(asked()).to.deep.equal([]);
    expect(harness.ec2.machines).to.have.length(1);
  });
});
