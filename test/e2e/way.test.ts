import { expect } from "chai";
import { STEPS } from "../../packages/sandbox/src/demo/progress.ts";
import { type Stack, startStack } from "../../packages/sandbox/src/stack/index.ts";
import { expectNothingLeft, LINUX, MAC, progressOf, QUICK, queueJob, reaped } from "./harness.ts";

describe("the whole way, as real processes", function () {
  this.timeout(120_000);
  let stack: Stack;
  before(async () => {
    stack = await startStack({ ops: {}, env: QUICK });
    for (const [repository, contentType] of [
      ["app", "json"],
      ["forms", "form"],
    ] as const)
      await stack.connect({ contentType, place: { kind: "repository", owner: "acme", repository } });
  });
  after(() => stack?.stop());

  const ways = [
    { labels: LINUX, repository: "app", provider: "ec2", as: "JSON" },
    { labels: MAC, repository: "forms", provider: "codemagic", as: "a form" },
  ] as const;
  for (const { labels, repository, provider, as } of ways)
    it(`a delivery as ${as} for ${labels}: its runner on ${provider} goes every step, and is gone`, async () => {
      const job = queueJob(stack, labels, { repository });
      await reaped(stack, job);
      const { elapsedMs, runner } = await progressOf(stack, job);
      expect(STEPS.filter((step) => !elapsedMs.has(step))).to.deep.equal([]);
      expect(runner).to.include({ provider, runnerName: job.runnerName });
      expect(job.conclusion).to.equal("success");
      expect(stack.sandbox.machines.records.at(-1)?.console()).to.contain("finished");
      await expectNothingLeft(stack);
    });
});
