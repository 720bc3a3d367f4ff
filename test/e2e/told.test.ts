import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { type Stack, startStack } from "../../packages/sandbox/src/stack/index.ts";
import { askOps, expectNothingLeft, LINUX, QUICK, queueJob, reaped } from "./harness.ts";

describe("what people are told, by real processes", function () {
  this.timeout(60_000);
  let stack: Stack;
  before(async () => {
    // A boot long enough for the notice to be there before the machine looks for it.
    stack = await startStack({ ops: {}, env: QUICK, sandbox: { bootMs: 1_000 } });
    await stack.connect();
  });
  after(() => stack?.stop());

  const launched = async (count: number) => {
    while (stack.sandbox.ec2.instances().length < count) await sleep(20);
    return stack.sandbox.ec2.instances()[count - 1]?.instanceId ?? "";
  };

  it("replaces a spot machine that is taken back in its boot, and says why in ledger, log and explanation", async () => {
    const job = queueJob(stack, LINUX);
    const first = await launched(1);
    stack.sandbox.interruptSpot(first);
    const line = await stack.ingress[0]?.line(
      (one) => one.message === "runner.reported" && one.phase === "interrupted",
    );
    expect(line).to.include({ level: "warn", instanceId: first });
    const second = await launched(2);
    await reaped(stack, job);
    expect(job.conclusion).to.equal("success");
    expect(stack.sandbox.github.registrations()).to.have.length(1);
    const { explanation, notes } = await askOps(stack, `/workflow-jobs/${job.id}`);
    const steps = explanation.steps.map(({ what }) => what);
    expect(steps.some((what) => what.startsWith(`${first}: interrupted: {"action":"terminate"`))).to.equal(
      true,
    );
    expect(steps).to.include.members([`${first}: machine gone`, `${second}: registration claimed`]);
    expect(notes.map(({ kind }) => kind)).to.deep.equal(["interrupted"]);
    await expectNothingLeft(stack);
  });

  it("warns in log, metric and status when GitHub refuses a runner program for its age", async () => {
    stack.sandbox.github.refuseRunnerVersion("2.337.0");
    const job = queueJob(stack, LINUX);
    const line = await stack.ingress[0]?.line("warning.raised");
    expect(line).to.include({ level: "warn", kind: "runner-version" });
    const { warnings } = await askOps(stack, "/status");
    expect(warnings.map(({ text }) => text)).to.deep.equal([line?.text]);
    for (const app of [stack.workers[0], stack.ops]) {
      const metrics = await (await fetch(`${app?.internalUrl}/metrics`)).text();
      expect(metrics, app?.name).to.match(/^grp_warnings\{kind="runner-version",app="\w+"\} 1$/m);
    }
    stack.sandbox.github.cancelWorkflowJob(job.id);
  });
});
