import { expect } from "chai";
import { STEPS } from "../../packages/sandbox/src/demo/progress.ts";
import { type Stack, startStack } from "../../packages/sandbox/src/stack/index.ts";
import { expectNothingLeft, LINUX, MAC, progressOf, QUICK, queueJob, reaped } from "./harness.ts";

describe("the whole way, as real processes", function () {
  this.timeout(40_000);
  let stack: Stack;
  before(async () => {
    stack = await startStack({ ops: {}, env: QUICK });
    await stack.connect();
  });
  after(() => stack?.stop());

  for (const [labels, provider] of [
    [LINUX, "ec2"],
    [MAC, "codemagic"],
  ] as const)
    it(`gives ${labels} a single-use runner on ${provider}, which goes every step and is gone`, async () => {
      const job = queueJob(stack, labels);
      await reaped(stack, job.id);
      const { elapsedMs, runner } = await progressOf(stack, job.id);
      expect(STEPS.filter((step) => !elapsedMs.has(step))).to.deep.equal([]);
      expect(runner).to.include({ provider, runnerName: job.runnerName });
      expect(job.conclusion).to.equal("success");
      await expectNothingLeft(stack);
    });
});
