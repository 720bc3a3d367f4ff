import { expect } from "chai";
import { type Stack, startStack } from "../../packages/sandbox/src/stack/index.ts";
import { expectNothingLeft, LINUX, lineOf, QUICK, queueJob } from "./harness.ts";

describe("a workflow job cancelled while its machine boots", function () {
  this.timeout(120_000);
  let stack: Stack;
  before(async () => {
    stack = await startStack({ ingress: [{}, {}], env: QUICK });
    // Machines claim at the first ingress, deliveries go to the second.
    await stack.connect({ url: `${stack.ingress[1]?.url}/webhook` });
  });
  after(() => stack?.stop());

  it("is a boot and no runner: the claim is answered 410, and the machine is gone", async () => {
    const [claims] = stack.ingress;
    const { ec2, github, machines } = stack.sandbox;
    // However fast it boots, its claim comes after the cancellation.
    claims?.pause();
    const job = queueJob(stack, LINUX);
    await lineOf(stack, "runner.provisioned", job);
    github.cancelWorkflowJob(job.id);
    await github.until(() => github.deliveries.at(-1)?.statusCode === 200, "the delivery of its end");
    claims?.resume();
    const reaped = await stack.workers[0]?.line("instance.reaped");
    expect(reaped).to.include({ reason: "not-wanted", instanceId: ec2.instances()[0]?.instanceId });
    expect(machines.records[0]?.console()).to.contain("the claim was refused with 410");
    expect(github.registrations()).to.deep.equal([]);
    await expectNothingLeft(stack);
  });
});
