import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createGitHub, type GitHub } from "@grp/github";
import { verify } from "@octokit/webhooks-methods";
import { expect } from "chai";
import { createGitHubStandIn, type GitHubStandIn } from "./stand-in.ts";

const REPOSITORY = { kind: "repository", owner: "acme", repository: "app" } as const;
const ORGANIZATION = { kind: "organization", owner: "acme", runnerGroup: "builders" } as const;
const HOME = { owner: "acme", repository: "app" };
const { signal } = new AbortController();

interface Received {
  readonly event: string;
  readonly guid: string;
  readonly action: string | undefined;
  readonly isSigned: boolean;
  readonly payload: { workflow_job?: { id: number; runner_name: string | null; conclusion: string | null } };
}

/** A receiver of deliveries that answers 202. */
async function listen(): Promise<{ url: string; received: Received[]; server: Server }> {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks).toString();
    const isForm = request.headers["content-type"]?.includes("form");
    const payload = JSON.parse(isForm ? (new URLSearchParams(raw).get("payload") ?? "") : raw);
    received.push({
      event: String(request.headers["x-github-event"]),
      guid: String(request.headers["x-github-delivery"]),
      action: payload.action,
      isSigned: await verify("secret", raw, String(request.headers["x-hub-signature-256"])),
      payload,
    });
    response.writeHead(202).end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhook`, received, server };
}

describe("the GitHub stand-in", () => {
  let standIn: GitHubStandIn;
  let github: GitHub;
  const folders: string[] = [];

  beforeEach(async () => {
    standIn = await createGitHubStandIn({ runnerGroups: ["Default", "builders"], lostAfterMs: 2_000 });
    github = createGitHub({ auth: { kind: "pat", token: standIn.token }, baseUrl: standIn.url });
  });
  afterEach(async () => {
    await standIn.close();
    await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
    expect(standIn.violations).to.deep.equal([]);
  });

  /** The runner program as a machine gets it: downloaded, verified, unpacked. */
  async function startRunner(jitConfig: string) {
    const program = await github.runnerProgram(REPOSITORY, { os: "linux", arch: "arm64" }, signal);
    const tarball = Buffer.from(await (await fetch(program.url)).arrayBuffer());
    expect(createHash("sha256").update(tarball).digest("hex")).to.equal(program.sha256);
    const folder = await mkdtemp(join(tmpdir(), "grp-test-runner-"));
    folders.push(folder);
    await writeFile(join(folder, program.filename), tarball);
    await promisify(execFile)("tar", ["-xzf", program.filename], { cwd: folder });
    const env = {
      ...process.env,
      ACTIONS_RUNNER_INPUT_JITCONFIG: jitConfig,
      ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE: "1",
      GRP_SANDBOX_USER: "runner",
    };
    const child = spawn(join(folder, "run.sh"), { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    return { child, exited: once(child, "close"), output: () => output };
  }

  const mint = (name: string, labels = ["ubuntu-arm64"]) =>
    github.mintRegistration({ scope: REPOSITORY, name, labels }, signal);

  it("gives a queued job to a real run of the runner program, tells the hook, and takes the runner off its list", async () => {
    const { url, received, server } = await listen();
    await standIn.addHook({ url, secret: "secret" });
    const job = standIn.queueWorkflowJob({ ...HOME, labels: ["Ubuntu-ARM64"], durationMs: 50 });
    const registration = await mint("grp-1-0");
    const runner = await startRunner(registration.encodedJitConfig);
    const [code] = await runner.exited;
    expect(code).to.equal(0);
    expect(runner.output()).to.match(
      /√ Connected to GitHub[\s\S]*Listening for Jobs[\s\S]*Running job: build/,
    );
    expect(runner.output()).to.contain("Job build completed with result: Succeeded");
    await standIn.until(() => standIn.deliveries.every(({ status }) => status !== "pending"), "deliveries");
    expect(received.every(({ isSigned }) => isSigned)).to.equal(true);
    expect(received.map(({ action, event }) => action ?? event)).to.deep.equal([
      "ping",
      "queued",
      "in_progress",
      "completed",
    ]);
    expect(received[2]?.payload.workflow_job).to.include({ id: job.id, runner_name: "grp-1-0" });
    expect(await github.listRunners(REPOSITORY, signal)).to.deep.equal([]);
    expect(standIn.registrations()[0]).to.include({ gone: "job-done", workflowJobId: job.id });
    const seen = await github.getWorkflowJob({ ...HOME, workflowJobId: job.id }, signal);
    expect(seen).to.include({ status: "completed", conclusion: "success", runnerName: "grp-1-0" });
    server.close();
  });

  it("matches by label and never by who asked: an idle runner takes whatever fits", async () => {
    const runner = await startRunner((await mint("grp-1-0", ["a", "b"])).encodedJitConfig);
    await standIn.until(() => standIn.runners()[0]?.status === "online", "online");
    const other = standIn.queueWorkflowJob({ ...HOME, labels: ["a", "c"] });
    const fitting = standIn.queueWorkflowJob({ ...HOME, labels: ["b"] });
    await runner.exited;
    expect([other.status, fitting.status]).to.deep.equal(["queued", "completed"]);
    const { jobs: queued } = await github.listQueuedWorkflowJobs(HOME, signal);
    expect(queued.map(({ id }) => id)).to.deep.equal([other.id]);
  });

  it("knows no repository but those that it was given and those with a job, where it was given any", async () => {
    const strict = await createGitHubStandIn({ repositories: ["acme/app"] });
    try {
      const asked = createGitHub({ auth: { kind: "pat", token: strict.token }, baseUrl: strict.url });
      const ask = (repository: string) =>
        asked.checkRegistration({ kind: "repository", owner: "acme", repository }, signal).then(
          () => "allowed",
          ({ message }) => message,
        );
      expect(await ask("App")).to.equal("allowed");
      expect(await ask("typo")).to.match(/404.*\/repos\/acme\/typo\//);
      strict.queueWorkflowJob({ owner: "acme", repository: "typo", labels: ["x"] });
      expect(await ask("typo")).to.equal("allowed");
      expect(strict.violations).to.deep.equal([]);
    } finally {
      await strict.close();
    }
  });

  it("refuses a name in use, and to delete a busy runner", async () => {
    const registration = await mint("grp-1-0");
    const job = standIn.queueWorkflowJob({ ...HOME, labels: ["ubuntu-arm64"], durationMs: 60_000 });
    const runner = await startRunner(registration.encodedJitConfig);
    await standIn.until(() => standIn.runners()[0]?.busy === true, "busy");
    expect(await github.deregister(REPOSITORY, registration.runnerId, signal)).to.equal("busy");
    let code: string | undefined;
    await mint("grp-1-0").catch((error) => {
      code = error.code;
    });
    expect(code).to.equal("runner_busy");
    standIn.cancelWorkflowJob(job.id);
    await runner.exited;
    expect(await github.deregister(REPOSITORY, registration.runnerId, signal)).to.equal("gone");
  });

  it("tells a runner of a version that it refuses, which ends with the code for it", async () => {
    const first = await startRunner((await mint("grp-1-0")).encodedJitConfig);
    await standIn.until(() => standIn.runners()[0]?.status === "online", "online");
    const [{ version = "" } = {}] = await github.listRunners(REPOSITORY, signal);
    expect(version).to.match(/^2\.\d+\.\d+$/);
    standIn.refuseRunnerVersion(version);
    const second = await startRunner((await mint("grp-1-1")).encodedJitConfig);
    const [code] = await second.exited;
    expect(code).to.equal(7);
    expect(second.output()).to.contain(`Runner version v${version} is deprecated`);
    first.child.kill();
    await first.exited;
  });

  it("keeps a registration whose answer was lost, and grp finds and replaces it", async () => {
    standIn.loseNextResponse("generate-jitconfig");
    await mint("grp-1-0").catch(() => {});
    expect(standIn.runners()).to.have.length(1);
    await mint("grp-1-0");
    expect(standIn.runners()).to.have.length(1);
    expect(standIn.registrations()).to.have.length(2);
  });

  it("ends a job as failed when its runner is killed, and a cancelled one as cancelled", async () => {
    const job = standIn.queueWorkflowJob({ ...HOME, labels: ["ubuntu-arm64"], durationMs: 60_000 });
    const runner = await startRunner((await mint("grp-1-0")).encodedJitConfig);
    await standIn.until(() => job.status === "in_progress", "in progress");
    process.kill(-(runner.child.pid as number), "SIGKILL");
    await standIn.until(() => job.status === "completed", "the loss is noticed");
    expect(job.conclusion).to.equal("failure");

    const second = standIn.queueWorkflowJob({ ...HOME, labels: ["ubuntu-arm64"], durationMs: 60_000 });
    const other = await startRunner((await mint("grp-1-1")).encodedJitConfig);
    await standIn.until(() => second.status === "in_progress", "in progress");
    standIn.cancelWorkflowJob(second.id);
    await other.exited;
    expect(other.output()).to.contain("completed with result: Canceled");
  });

  it("turns a deleted runner away", async () => {
    const registration = await mint("grp-1-0");
    await github.deregister(REPOSITORY, registration.runnerId, signal);
    const runner = await startRunner(registration.encodedJitConfig);
    await runner.exited;
    expect(runner.output()).to.contain("registration has been deleted");
  });

  it("serves organizations, runner groups and permission checks", async () => {
    const order = { scope: ORGANIZATION, name: "grp-1-0", labels: ["x"] };
    const { runnerId } = await github.mintRegistration(order, signal);
    expect(standIn.registrations()[0]).to.include({ id: runnerId, groupId: 2 });
    expect((await github.findRunner(ORGANIZATION, "grp-1-0", signal))?.status).to.equal("offline");
    await github.checkRegistration(ORGANIZATION, signal);
    expect(await github.deregister(ORGANIZATION, runnerId, signal)).to.equal("deregistered");
  });

  it("is a GitHub App's server too, under a GitHub Enterprise Server's address", async () => {
    const auth = { kind: "apps", apps: standIn.apps } as const;
    const asApp = createGitHub({ auth, baseUrl: `${standIn.url}/api/v3` });
    await asApp.mintRegistration({ scope: REPOSITORY, name: "grp-1-0", labels: ["x"] }, signal);
    await asApp.checkRegistration(ORGANIZATION, signal);
    expect(standIn.runners()).to.have.length(1);
  });

  it("records what it could not deliver, and redelivers it under the same GUID", async () => {
    const { url, received, server } = await listen();
    const hook = await standIn.addHook({ url, secret: "secret", place: REPOSITORY, contentType: "form" });
    standIn.dropNext();
    standIn.queueWorkflowJob({ ...HOME, labels: ["x"] });
    await standIn.until(() => standIn.deliveries[1]?.statusCode === 502, "the drop");
    expect(received).to.have.length(1);
    const [target] = await github.findHooks(REPOSITORY, url, signal);
    expect(target).to.deep.equal({ ...REPOSITORY, hookId: hook.id });
    if (!target) throw new Error("no hook");
    const page = await github.listFailedDeliveries(target, { sinceMs: 0 }, signal);
    const failed = page.failed.find(({ statusCode }) => statusCode === 502);
    await github.redeliver(target, failed?.id ?? "", signal);
    await standIn.until(() => standIn.deliveries[2]?.status === "OK", "the redelivery");
    expect(received[1]).to.include({ guid: failed?.guid, isSigned: true, action: "queued" });
    server.close();
  });

  it("duplicates and reorders deliveries on demand", async () => {
    const { url, received, server } = await listen();
    await standIn.addHook({ url, secret: "secret" });
    standIn.delayNext(100);
    standIn.duplicateNext();
    const first = standIn.queueWorkflowJob({ ...HOME, labels: ["x"] });
    const second = standIn.queueWorkflowJob({ ...HOME, labels: ["x"] });
    await standIn.until(() => standIn.deliveries.every(({ status }) => status === "OK"), "deliveries");
    const ids = received.slice(1).map(({ payload }) => payload.workflow_job?.id);
    expect(ids).to.deep.equal([second.id, second.id, first.id]);
    const { sentAt, answeredAt = 0 } = standIn.deliveries[1] ?? { sentAt: 0 };
    expect(answeredAt - sentAt, "what it was held up for counts").to.be.at.least(95);
    server.close();
  });

  it("refuses wrong credentials and asks for pauses as GitHub does", async () => {
    const stranger = createGitHub({ auth: { kind: "pat", token: "ghp_wrong" }, baseUrl: standIn.url });
    const classes: string[] = [];
    const note = (error: { errorClass: string }) => void classes.push(error.errorClass);
    await stranger.listRunners(REPOSITORY, signal).catch(note);
    standIn.failNext(502, "GET /repos/acme/app/actions/runners");
    await github.listRunners(REPOSITORY, signal).catch(note);
    standIn.rateLimitNext("secondary", 30);
    await github.listRunners(REPOSITORY, signal).catch(note);
    expect(classes).to.deep.equal(["unauthorized", "transient", "rate-limited"]);
  });

  it("refuses the matching calls of one caller for as long as it is told to", async () => {
    const match = "GET /repos/acme/app/actions/runners";
    const relent = standIn.failWhile(500, { match, caller: "token" });
    standIn.failWhile(500, { match, caller: "app-4242" });
    const ask = () => github.listRunners(REPOSITORY, signal).catch(({ errorClass }) => errorClass);
    expect([await ask(), await ask()]).to.deep.equal(["transient", "transient"]);
    relent();
    expect(await ask()).to.deep.equal([]);
  });
});
