import { RateLimitedError, TransientError } from "@grp/core";
import { expect } from "chai";
import { tellRetry } from "./retried.ts";
import { type Harness, startHarness } from "./testing/harness.ts";

describe("a try that is made again", () => {
  let server: Awaited<ReturnType<typeof startHarness>>;
  let harness: Harness;
  before(async () => {
    server = await startHarness();
  });
  after(() => server.stop());
  beforeEach(async () => {
    harness = await server.create();
  });

  it("is noted with its reason; a throttle is what the demand waits for, and no failure", async () => {
    const demand = await harness.addDemand();
    const retry = { jobId: demand.key, demand, attempt: 1, delayMs: 2_000 };
    const slow = new RateLimitedError("slow down", { code: "budget", retryAfterMs: 2_000, isShared: true });
    await tellRetry(harness, "ec2", { ...retry, error: slow });
    expect(await harness.ledger.getWorkflowJob(demand.key)).to.deep.include({
      waitsFor: "throttle",
      notes: [],
    });
    await tellRetry(harness, "ec2", { ...retry, error: new TransientError("no answer") });
    const known = await harness.ledger.getWorkflowJob(demand.key);
    expect(known?.notes.map(({ kind, text }) => `${kind} ${text}`)).to.deep.equal([
      "retry try 1: no answer; again in 2 s",
    ]);
  });
});
