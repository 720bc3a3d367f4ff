import { expect } from "chai";
import { type Stack, startStack } from "../../packages/sandbox/src/stack/index.ts";
import { askOps, eventually, expectNothingLeft, LINUX, QUICK, queueJob, reaped } from "./harness.ts";

const MINT = "generate-jitconfig";
const BOOT_S = 10;

const RUNNERS = `version: 1
allow: { owners: [acme] }
classes:
  - name: ubuntu-arm64
    labels: [ubuntu-arm64]
    platform: { os: linux, arch: arm64 }
    maxRunners: 5
    bootTimeout: ${BOOT_S}s
    offerings:
      - { provider: ec2, region: us-east-1, image: { id: ami-0aa1000000000001 }, instanceTypes: [t4g.large],
          subnets: "\${EC2_SUBNETS}", securityGroups: "\${EC2_SECURITY_GROUPS}", market: on-demand }
`;

describe("a claim that GitHub does not grant, by real processes", function () {
  this.timeout(60_000);
  let stack: Stack;
  before(async () => {
    stack = await startStack({ ops: {}, env: { ...QUICK, USE_CODEMAGIC: "false" }, runners: RUNNERS });
    await stack.connect();
  });
  after(() => stack?.stop());

  const claims = (outcome: string) =>
    stack.ingress.flatMap(({ lines }) =>
      lines.filter((line) => line.message === "runner.claimed" && line.outcome === outcome),
    );

  it("while it is away for longer than a boot may take: the job runs on its first machine", async () => {
    const { github, ec2 } = stack.sandbox;
    // Five seconds between two claims: longer than a boot and the sweep's grace.
    for (let tries = 0; tries < 3; tries++) github.failNext(502, MINT);
    const job = queueJob(stack, LINUX);
    await eventually("three claims", () => claims("github_unavailable").length === 3);
    const { explanation } = await askOps(stack, `/workflow-jobs/${job.id}`);
    expect(explanation.whereNow).to.match(/its claim could not be answered: GitHub answered 502/);
    await reaped(stack, job);
    expect(job.conclusion).to.equal("success");
    expect((job.startedAt ?? 0) - job.queuedAt).to.be.greaterThan(BOOT_S * 1_000 + 2_000);
    expect(ec2.instances()).to.have.length(1);
    await expectNothingLeft(stack);
  });

  it("for our credentials may not: told while its machine waits, and as a warning", async () => {
    const { github } = stack.sandbox;
    for (let tries = 0; tries < 2; tries++) github.failNext(403, MINT);
    const job = queueJob(stack, LINUX);
    const line = await stack.ingress[0]?.line("warning.raised");
    expect(line).to.include({ level: "warn", kind: "registration" });
    const { explanation } = await askOps(stack, `/workflow-jobs/${job.id}`);
    expect(explanation.whereNow).to.match(/its claim was refused: GitHub answered 403/);
    const { warnings } = await askOps(stack, "/status");
    expect(warnings.map(({ text }) => text)).to.deep.equal([line?.text]);
    // Mended by now: for this machine, or for the next.
    await reaped(stack, job);
    expect(job.conclusion).to.equal("success");
    await expectNothingLeft(stack);
  });
});
