import { expect } from "chai";
import { type Stack, startStack } from "../../packages/sandbox/src/stack/index.ts";
import {
  ended,
  eventually,
  expectNothingLeft,
  LINUX,
  lineOf,
  MAC,
  QUICK,
  queueJob,
  reaped,
} from "./harness.ts";

describe("a provider's answer that never came", function () {
  this.timeout(120_000);
  let stack: Stack;
  before(async () => {
    stack = await startStack({ env: QUICK });
    await stack.connect();
  });
  after(() => stack?.stop());
  afterEach(() => expectNothingLeft(stack));

  const registrationsOf = (labels: readonly string[]) =>
    stack.sandbox.github.registrations().filter((one) => labels.every((label) => one.labels.includes(label)));

  it("of RunInstances: asked again under the same token, one instance", async () => {
    const { ec2 } = stack.sandbox;
    ec2.loseNextResponse("RunInstances");
    const job = queueJob(stack, LINUX);
    expect(await lineOf(stack, "runner.provisioned", job)).to.include({ outcome: "launched", attempt: 2 });
    expect([...(await ended(stack, [job]))]).to.deep.equal(["success"]);
    const tokens = ec2.calls.filter(({ action }) => action === "RunInstances").map((one) => one.request);
    expect(tokens.map(({ ClientToken }) => ClientToken)).to.deep.equal(Array(2).fill(tokens[0]?.ClientToken));
    expect(ec2.instances()).to.have.length(1);
    expect(registrationsOf(LINUX)).to.have.length(1);
  });

  it("of a CodeMagic start: the build is found by its label, and no other is started", async () => {
    const { codemagic } = stack.sandbox;
    codemagic.loseNextResponse();
    const job = queueJob(stack, MAC);
    expect([...(await ended(stack, [job]))]).to.deep.equal(["success"]);
    await Promise.all([lineOf(stack, "runner.provisioned", job), reaped(stack, job)]);
    expect(codemagic.builds()).to.have.length(1);
    expect(registrationsOf(MAC)).to.have.length(1);
  });

  it("of a CodeMagic start whose build is not listed either: two builds, one registers, the other ends", async () => {
    const { codemagic, machines } = stack.sandbox;
    const before = codemagic.builds().length;
    codemagic.hideFromV1(true);
    codemagic.loseNextResponse();
    const job = queueJob(stack, MAC);
    const builds = () => codemagic.builds().slice(before);
    await eventually("a build", () => builds().length === 1);
    // So that it can't claim before the start is tried again.
    stack.ingress[0]?.pause();
    await eventually("a second build", () => builds().length === 2);
    stack.ingress[0]?.resume();
    codemagic.hideFromV1(false);
    expect([...(await ended(stack, [job]))]).to.deep.equal(["success"]);
    await expectNothingLeft(stack);
    expect(registrationsOf(MAC)).to.have.length(2);
    const consoles = builds().map(
      ({ buildId }) => machines.records.find(({ id }) => id === buildId)?.console() ?? "",
    );
    expect(consoles.filter((text) => text.includes("the claim was refused with 409"))).to.have.length(1);
    expect(consoles.filter((text) => text.includes("the workflow job ended"))).to.have.length(1);
  });
});
