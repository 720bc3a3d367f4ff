import { expect } from "chai";
import { type Stack, startStack } from "../../packages/sandbox/src/stack/index.ts";
import { expectNothingLeft, LINUX, QUICK, queueUnheard, reaped, send } from "./harness.ts";

describe("the same delivery again, to two ingress and two worker processes", function () {
  this.timeout(120_000);
  let stack: Stack;
  before(async () => {
    stack = await startStack({ ingress: [{}, {}], workers: [{}, {}], env: QUICK });
    await stack.connect();
  });
  after(() => stack?.stop());

  it("50 times at once, and again after its workflow job's end: one machine, one registration", async () => {
    const { delivery, job } = queueUnheard(stack, LINUX);
    const to = (index: number) => stack.ingress[index % 2]?.url ?? "";
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => send(stack, delivery, { to: to(index) })),
    );
    const outcomes = answers.map(({ status, body }) => `${status} ${body.outcome}`);
    // Those that come before the first is enqueued are enqueued too, which changes nothing: on a busy machine, all.
    expect(outcomes).to.include("202 enqueued");
    expect(["202 enqueued", "200 duplicate"]).to.include.members(outcomes);
    await reaped(stack, job);
    expect(job.conclusion).to.equal("success");
    const again = await send(stack, delivery);
    expect(again.status).to.equal(200);
    expect(again.body).to.include({ outcome: "ignored", reason: "already-started" });
    expect(stack.sandbox.ec2.instances()).to.have.length(1);
    expect(stack.sandbox.github.registrations()).to.have.length(1);
    await expectNothingLeft(stack);
  });
});
