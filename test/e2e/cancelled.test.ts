import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import type { StandInWorkflowJob } from "../../packages/sandbox/src/index.ts";
import { type Stack, startStack } from "../../packages/sandbox/src/stack/index.ts";
import { askOps, expectNothingLeft, LINUX, lineOf, QUICK, queueJob } from "./harness.ts";

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

describe("a workflow job cancelled before and after its machine boots", function () {
  this.timeout(120_000);
  let stack: Stack;
  before(async () => {
    const shipped = readFileSync(new URL("../../runners.yaml", import.meta.url), "utf8");
    stack = await startStack({
      ops: {},
      env: QUICK,
      runners: shipped.replace("maxRunners: 20", "maxRunners: 1"),
    });
    await stack.connect();
  });
  after(() => stack?.stop());

  const cancel = async ({ id }: StandInWorkflowJob) => {
    const { github } = stack.sandbox;
    github.cancelWorkflowJob(id);
    const isHeard = () =>
      github.deliveries.at(-1)?.action === "completed" && github.deliveries.at(-1)?.statusCode === 200;
    await github.until(isHeard, "the delivery of its end");
  };

  it("is a surplus runner, which is ended while it is idle, if its claim was under way", async () => {
    const { github } = stack.sandbox;
    github.delayNextResponse(3_000, "generate-runner-jitconfig");
    const job = queueJob(stack, LINUX);
    // The ingress asks for the runner program once the claim is granted, and before it registers the runner.
    await github.until(
      () => github.calls.some(({ operationId }) => operationId.includes("applications")),
      "the claim",
    );
    await cancel(job);
    const reaped = await stack.workers[0]?.line("instance.reaped");
    expect(reaped).to.include({ reason: "surplus" });
    expect(github.registrations().map(({ gone, workflowJobId }) => [gone, workflowJobId])).to.deep.equal([
      ["deleted", undefined],
    ]);
    await expectNothingLeft(stack);
  });

  it("is nothing at all if it waits for a place", async () => {
    const first = queueJob(stack, LINUX, { durationMs: 100_000 });
    await lineOf(stack, "runner.provisioned", first);
    const launched = stack.sandbox.ec2.instances().length;
    const second = queueJob(stack, LINUX);
    const isWaiting = async () =>
      (await askOps(stack, `/workflow-jobs/${second.id}`)).waitsFor?.startsWith("cap ");
    while (!(await isWaiting())) await sleep(50);
    await cancel(second);
    const told = await askOps(stack, `/workflow-jobs/${second.id}`);
    expect([told.demandState, told.explanation.whereNow]).to.deep.equal([
      "cancelled",
      "ended before it started (cancelled)",
    ]);
    const { caps } = await askOps(stack, "/status");
    expect(caps.find(({ name }) => name === "class:ubuntu-arm64")).to.include({ used: 1, waiting: 0 });
    await cancel(first);
    await expectNothingLeft(stack);
    expect(stack.sandbox.ec2.instances()).to.have.length(launched);
  });
});
