import { expect } from "chai";
import { type Stack, startStack } from "../../packages/sandbox/src/stack/index.ts";
import { ended, expectNothingLeft, LINUX, QUICK, queueJob } from "./harness.ts";

describe("kill -9", function () {
  this.timeout(120_000);
  let stack: Stack;
  before(async () => {
    // Every second, what failed to arrive is asked for again.
    stack = await startStack({ env: { ...QUICK, REDELIVERY_INTERVAL: "1" } });
    await stack.connect({ place: { kind: "repository", owner: "acme", repository: "app" } });
  });
  after(() => stack?.stop());
  afterEach(() => expectNothingLeft(stack));

  it("of Redis in mid-burst: what was accepted is served, what was refused comes again; one runner each", async () => {
    const { github } = stack.sandbox;
    const queueSome = () => Array.from({ length: 4 }, () => queueJob(stack, LINUX));
    const deliveries = () => github.deliveries.filter(({ action }) => action === "queued");
    const jobs = queueSome();
    await github.until(() => deliveries().some(({ statusCode }) => statusCode === 202), "a 202");
    await stack.redis.kill();
    jobs.push(...queueSome());
    await github.until(() => deliveries().every(({ statusCode }) => statusCode !== 0), "every answer");
    const refused = deliveries().filter(({ statusCode }) => statusCode !== 202);
    expect(refused.length, "while Redis is dead").to.be.greaterThanOrEqual(4);
    expect(new Set(refused.map(({ statusCode }) => statusCode))).to.deep.equal(new Set([503]));
    // 503 within 2 s is the promise; the rest is for a busy machine.
    for (const { durationMs } of refused) expect(durationMs).to.be.lessThan(4_000);
    await stack.redis.restart();
    expect([...(await ended(stack, jobs))]).to.deep.equal(["success"]);
    // What reached Redis although its answer did not may be served before it comes again.
    const missed = new Set(refused.map(({ guid }) => guid));
    const again = () => deliveries().filter(({ isRedelivery }) => isRedelivery);
    await github.until(
      () => new Set(again().map(({ guid }) => guid)).size >= missed.size,
      "each comes again",
    );
    await github.until(() => again().every(({ statusCode }) => statusCode !== 0), "every answer");
    expect(new Set(again().map(({ guid }) => guid))).to.deep.equal(missed);
    await expectNothingLeft(stack);
    expect(github.registrations().map(({ workflowJobId }) => workflowJobId)).to.have.members(
      jobs.map(({ id }) => id),
    );
  });

  it("of a worker in mid-launch: another goes on under the same token, one machine", async () => {
    const { ec2, github } = stack.sandbox;
    const [instances, registrations] = [ec2.instances().length, github.registrations().length];
    const arrived = ec2.hangNext("RunInstances");
    const job = queueJob(stack, LINUX);
    await arrived;
    const heir = await stack.addWorker();
    await stack.workers[0]?.kill();
    expect(job.status).to.equal("queued");
    // The heir's first may be what the test before had sent again.
    const provisioned = await heir.line(
      ({ message, workflowJobId }) => message === "runner.provisioned" && workflowJobId === job.id,
    );
    expect(provisioned, JSON.stringify(provisioned)).to.include({ outcome: "launched" });
    expect([...(await ended(stack, [job]))]).to.deep.equal(["success"]);
    expect(ec2.instances()).to.have.length(instances + 1);
    expect(github.registrations()).to.have.length(registrations + 1);
    await heir.line("instance.reaped");
  });
});
