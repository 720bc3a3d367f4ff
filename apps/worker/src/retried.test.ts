import { RateLimitedError, TransientError } from "@grp/core";
import { expect } from "chai";
import { tellRetry } from "./retried.ts";
import { type Harness, useHarness } from "./testing/harness.ts";

describe("a try that is made again", () => {
  let harness: Harness;
  useHarness((fresh) => {
    harness = fresh;
  });

  it("is noted with its reason; a throttle is what the demand waits for, and no failure", async () => {
    const demand = await harness.addDemand();
    const retry = { jobId: demand.key, demand, attempt: 1, delayMs: 2_000 };
    for (const [code, waitsFor] of [
      ["RequestLimitExceeded", "throttle"],
      ["budget", "budget ec2"],
      ["unanswered", "answer ec2"],
    ] as const) {
      const slow = new RateLimitedError("slow down", { code, retryAfterMs: 2_000, isShared: true });
      await tellRetry(harness, "ec2", { ...retry, error: slow });
      expect(await harness.ledger.getWorkflowJob(demand.key)).to.deep.include({ waitsFor, notes: [] });
    }
    await tellRetry(harness, "ec2", { ...retry, error: new TransientError("no answer") });
    const known = await harness.ledger.getWorkflowJob(demand.key);
    expect(known?.notes.map(({ kind, text }) => `${kind} ${text}`)).to.deep.equal([
      "retry try 1: no answer; again in 2 s",
    ]);
  });

  it("warns, once for all, of machines whose end fails again and again", async () => {
    const error = new TransientError("no answer", { code: "timeout" });
    const tell = (attempt: number, machine = 1) =>
      tellRetry(harness, "ec2", { jobId: `end-grp-${machine}`, attempt, delayMs: 2_000, error });
    for (let attempt = 1; attempt < 10; attempt++) await tell(attempt);
    expect(await harness.ledger.listWarnings(harness.clock.now)).to.deep.equal([]);
    for (const machine of [1, 2, 3]) await tell(10, machine);
    const [warning, ...more] = await harness.ledger.listWarnings(harness.clock.now);
    expect(warning?.text).to.match(/^machines of ec2 can't be ended \(transient, timeout\)/);
    expect(more).to.deep.equal([]);
  });
});
