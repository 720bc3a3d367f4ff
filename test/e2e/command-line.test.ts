import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { STEPS } from "../../packages/sandbox/src/demo/progress.ts";
import { type Stack, startStack } from "../../packages/sandbox/src/stack/index.ts";
import { expectNothingLeft, LINUX, lineOf, QUICK, queueJob, queueUnheard } from "./harness.ts";

const ROOT = join(import.meta.dirname, "../..");
const CLI = join(ROOT, "apps/ops/src/cli.ts");

describe("grp against a running instance", function () {
  this.timeout(120_000);
  let stack: Stack;
  before(async () => {
    stack = await startStack({ ops: {}, env: QUICK, sandbox: { github: { repositories: ["acme/app"] } } });
    await stack.connect();
  });
  after(() => stack?.stop());

  /** What it printed, and its exit code. */
  function call(program: string, args: readonly string[]): Promise<{ code: number; output: string }> {
    const addresses = { OPS_URL: stack.ops?.url, WEBHOOK_URL: stack.webhookUrl };
    const options = {
      cwd: ROOT,
      env: { PATH: process.env.PATH, ...stack.settings, ...addresses },
      timeout: 30_000,
    };
    return new Promise((resolve) => {
      execFile(program, args, options, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code ?? -1) : 0, output: stdout + stderr }),
      );
    });
  }
  const grp = (...args: string[]) => call(process.execPath, [CLI, ...args]);

  const expectNothingLaunched = () => {
    expect(stack.sandbox.ec2.instances()).to.deep.equal([]);
    expect(stack.sandbox.codemagic.builds()).to.deep.equal([]);
    expect(stack.sandbox.github.registrations()).to.deep.equal([]);
  };

  it("test-runners plans one workflow job of every class, and launches nothing", async () => {
    const { code, output } = await grp("test-runners", "--repository", "acme/app");
    expect(output).to.match(/ubuntu-arm64 .*202 .*good .*GitHub: allowed/);
    expect(output.match(/ec2: would-launch/g)).to.have.length(2);
    expect(output).to.match(/macOS-arm64 .*202 .*good .*GitHub: allowed/);
    expect(output).to.contain("2 of 2 runner classes would launch");
    expect(code).to.equal(0);
    expectNothingLaunched();
  });

  it("test-runners says what a provider refuses, and exits with 1", async () => {
    stack.sandbox.ec2.failNext("UnauthorizedOperation", { action: "RunInstances", status: 403, times: 50 });
    const { code, output } = await grp("test-runners", "--class", "ubuntu-arm64", "-r", "acme/app");
    stack.sandbox.ec2.forgetFailures();
    expect(output).to.match(/BAD .*GitHub: allowed/);
    expect(output).to.contain("UnauthorizedOperation");
    expect(code).to.equal(1);
  });

  it("a repository that GitHub does not know fails the dry run, and none is made up", async () => {
    const tested = await grp("test-runners", "--repository", "acme/typo");
    expect(tested.output)
      .to.match(/BAD .*GitHub: refused .*404/)
      .and.to.contain("0 of 2 runner classes");
    const args = [
      "send",
      "--label",
      "ubuntu-arm64",
      "--repository",
      "acme/typo",
      "--dry-run",
      "--wait",
      "20",
    ];
    const sent = await grp(...args);
    expect(sent.output).to.match(/GitHub registration: refused .*404/);
    const unnamed = await call("make", ["test-runners", `HOST=${stack.ingress[0]?.url}`]);
    expect(unnamed.output).to.match(/^grp: which repository\? .*acme.* REPOSITORY=owner\/name/m);
    expect([tested.code, sent.code, unnamed.code]).to.deep.equal([1, 1, 2]);
  });

  it("send --dry-run --wait prints the plan: class, place, and every offering in order", async () => {
    const args = ["send", "--label", "ubuntu-arm64", "--repository", "acme/app", "--dry-run", "--wait", "20"];
    const { code, output } = await grp(...args);
    expect(output).to.match(/^202 .*"dryRun":true/);
    expect(output).to.contain("class ubuntu-arm64, registers at repo:acme/app");
    expect(output).to.match(/1\. ec2: us-east-1 .*spot.*: would-launch/);
    expect(output).to.match(/2\. ec2: us-east-1 .*on-demand.*: would-launch/);
    expect(code).to.equal(0);
    expectNothingLaunched();
  });

  it("make run-<label> sends a dry run unless told otherwise, and make test-runners asks for every class", async () => {
    const host = `HOST=${stack.ingress[0]?.url}`;
    const repository = "REPOSITORY=acme/app";
    const one = await call("make", ["run-macOS-arm64", host, repository]);
    expect(one.output).to.match(/^202 .*"runnerClass":"macOS-arm64","dryRun":true/m);
    const all = await call("make", ["test-runners", host, repository]);
    expect(all.output).to.contain("2 of 2 runner classes would launch");
    expect([one.code, all.code]).to.deep.equal([0, 0]);
    expectNothingLaunched();
  });

  it("a worker in dry run plans what no request asked to be planned, and launches nothing", async () => {
    const [worker] = stack.workers;
    await worker?.restart({ DRY_RUN: "true" });
    const job = queueJob(stack, LINUX);
    const line = await lineOf(stack, "runner.planned", job);
    expect(line).to.include({ isLaunchable: true, runnerClass: "ubuntu-arm64" });
    expectNothingLaunched();
    await worker?.restart({ DRY_RUN: "false" });
    stack.sandbox.github.cancelWorkflowJob(job.id);
  });

  it("send --wait follows a recorded delivery to its runner's end; status and explain tell of it", async () => {
    const { job, delivery } = queueUnheard(stack, LINUX);
    const file = join(stack.folder, "delivery.json");
    await writeFile(file, JSON.stringify(delivery.payload));
    const sent = await grp("send", "--file", file, "--wait", "90");
    expect(sent.output).to.match(/^202 .*"outcome":"enqueued"/);
    for (const step of STEPS) expect(sent.output).to.match(new RegExp(`^ +${step} +\\d`, "m"));
    expect(sent.code).to.equal(0);
    const status = await grp("status");
    expect(status.output).to.match(/machines +none\ndead letters +none/);
    expect(status.output).to.match(new RegExp(`wfj-${job.id} \\W+acme/app \\W+ubuntu-arm64 \\W+gone `));
    const explained = await grp("explain", `https://github.com/acme/app/actions/runs/1/job/${job.id}`);
    expect(explained.output).to.contain(`workflow job ${job.id}`).and.to.contain("class ubuntu-arm64");
    for (const what of ["received", "claimed", "online", "machine gone"])
      expect(explained.output).to.contain(what);
    expect([status.code, explained.code]).to.deep.equal([0, 0]);
    await expectNothingLeft(stack);
  });

  it("says in one line what keeps it from an answer, and exits with more than 0", async () => {
    const wrong = await grp("send", "--repository", "acme/app", "--secret", "not the secret");
    expect(wrong.output).to.match(/^401 /);
    expect(wrong.code).to.equal(1);
    const unknown = await grp("explain", "4711");
    expect(unknown.output).to.match(/^grp: nothing is known of (wfj-)?4711/);
    expect(unknown.code).to.equal(1);
  });
});
