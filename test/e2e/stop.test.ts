import { expect } from "chai";
import { type Stack, startStack } from "../../packages/sandbox/src/stack/index.ts";
import { ended, expectNothingLeft, LINUX, QUICK, queueJob, reaped } from "./harness.ts";

describe("SIGTERM in the middle of work", function () {
  this.timeout(120_000);
  let stack: Stack;
  before(async () => {
    // The sweep is to have no hand in it: deliveries that come while no ingress runs are lost here.
    const env = { ...QUICK, SWEEP_GRACE: "60", STOP_DEADLINE: "2" };
    stack = await startStack({ ops: {}, env });
    await stack.connect();
  });
  after(() => stack?.stop());

  it("ends every process with 0: the claim in hand is answered, the launch in hand given back and made once", async () => {
    const [ingress] = stack.ingress;
    const [worker] = stack.workers;
    const { ec2, github } = stack.sandbox;
    const isAsked = (part: string) => github.calls.some(({ route }) => route.includes(part));

    // A machine claims: GitHub takes its time over the registration, and the ingress is told to end.
    github.delayNextResponse(4_500, "generate-jitconfig");
    const claiming = queueJob(stack, LINUX);
    await github.until(() => isAsked("/actions/runners/downloads"), "the claim");
    const arrived = ec2.hangNext("RunInstances");
    const launching = queueJob(stack, LINUX);
    await arrived;
    const asked = await Promise.all([ingress, worker, stack.ops].map((app) => app?.stop()));
    expect(asked).to.deep.equal([true, true, true]);
    expect(isAsked("generate-jitconfig")).to.equal(true);
    expect(
      ingress?.lines.some(({ message, status }) => message === "runner.claimed" && status === 200),
    ).to.equal(true);

    for (const app of [ingress, worker, stack.ops]) await app?.restart();
    expect([...(await ended(stack, [claiming, launching]))]).to.deep.equal(["success"]);
    expect(ec2.instances()).to.have.length(2);
    expect(github.registrations()).to.have.length(2);
    await reaped(stack, launching);
    await expectNothingLeft(stack);
    expect(await stack.redis.stop()).to.equal(true);
    expect(await stack.stop()).to.deep.equal({ unclean: [] });
  });
});
