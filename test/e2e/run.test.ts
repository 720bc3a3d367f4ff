import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect } from "chai";
import { createSandbox, type Sandbox } from "../../packages/sandbox/src/index.ts";
import { findFreePorts } from "../../packages/sandbox/src/stack/ports.ts";
import { makeSettings } from "../../packages/sandbox/src/stack/settings.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const ROOT = join(import.meta.dirname, "../..");

/** `make run` as a terminal starts it: a group of its own, whose every process hears of Ctrl-C. */
function makeRun(env: Readonly<Record<string, string>>) {
  const child = spawn("make", ["run"], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, GRP_ENV_FILE: "none", ...env },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  const streams = [child.stdout, child.stderr].map((input) =>
    createInterface({ input }).on("line", (line) => lines.push(line)),
  );
  const says = async (text: string, times = 1) => {
    const signal = AbortSignal.timeout(60_000);
    const isSaid = () => lines.filter((line) => line.includes(text)).length >= times;
    while (!isSaid()) await Promise.race(streams.map((stream) => once(stream, "line", { signal })));
  };
  return { child, lines, says, closed: once(child, "close") };
}

const signal = (child: ChildProcess, name: NodeJS.Signals) => process.kill(-(child.pid ?? 0), name);

async function becomesReady(port: string): Promise<void> {
  const isReady = () => fetch(`http://127.0.0.1:${port}/readyz`).then(({ ok }) => ok);
  while (!(await isReady())) await new Promise((resolve) => setTimeout(resolve, 50));
}

describe("make run", function () {
  this.timeout(120_000);
  let redis: TestRedis;
  let sandbox: Sandbox;
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "grp-run-"));
    [redis, sandbox] = await Promise.all([startRedis(), createSandbox()]);
  });
  after(async () => {
    await Promise.all([redis?.stop(), sandbox?.close()]);
    await rm(folder, { recursive: true });
  });

  it("starts nothing and names every missing or bad setting at once, each with who needs it", async () => {
    const run = makeRun({ REDIS_URL: redis.url, DRY_RUN: "ture", PORT: "eighty" });
    await run.closed;
    const output = run.lines.join("\n");
    for (const fault of [
      /^ +WEBHOOK_TOKEN +is not set.* \[ingress\]$/m,
      /^ +TICKET_SECRET +is not set.* \[ingress, worker\]$/m,
      /^ +PUBLIC_URL +is not set.* \[worker\]$/m,
      /^ +GITHUB_TOKEN +is not set, and no GitHub App either.* \[ingress, worker\]$/m,
      /^ +CODEMAGIC_TOKEN +is not set.* \[worker\]$/m,
      /^ +OPS_PASSWORD +is not set.* \[ops\]$/m,
      /^ +DRY_RUN +must be true or false.*"ture".* \[worker\]$/m,
      /^ +PORT +must be a whole number.*"eighty".* \[ingress\]$/m,
    ])
      expect(output).to.match(fault);
    for (const name of ["ALLOWED_OWNERS", "EC2_SUBNETS", "EC2_SECURITY_GROUPS", "CODEMAGIC_APP_ID"])
      expect(output).to.match(
        new RegExp(`^ +RUNNERS_FILE +runners\\.yaml:\\d+:\\d+ \\$\\{${name}\\} is not set`, "m"),
      );
    expect(output).not.to.contain("process.started");
    expect(run.child.exitCode).to.equal(2);
  });

  it("starts ingress, worker and ops, which wait for Redis, and Ctrl-C ends each of them cleanly", async () => {
    const [port = 0, opsPort = 0] = await findFreePorts(2);
    const publicUrl = `http://127.0.0.1:${port}`;
    const runnersFile = join(ROOT, "runners.yaml");
    const settings = await makeSettings({ sandbox, redisUrl: redis.url, publicUrl, folder, runnersFile });
    const ports = { PORT: String(port), OPS_PORT: String(opsPort), INTERNAL_PORT: "0" };
    await redis.kill();
    const run = makeRun({ ...settings, ...ports });
    await run.says('"process.started"', 3);
    await run.says("connect ECONNREFUSED", 3);
    await redis.restart();
    const internal = run.lines.flatMap((line) => /"internalPort":(\d+)/.exec(line)?.[1] ?? []);
    expect(internal).to.have.length(3);
    await Promise.all(internal.map(becomesReady));
    expect((await fetch(`http://127.0.0.1:${opsPort}/`)).status).to.equal(401);
    await sandbox.github.addHook({ url: `${publicUrl}/webhook`, secret: settings.WEBHOOK_TOKEN ?? "" });
    sandbox.github.queueWorkflowJob({ owner: "acme", repository: "app", labels: ["ubuntu-arm64"] });
    await run.says('"runner.provisioned"');
    signal(run.child, "SIGINT");
    await run.closed;
    expect(run.lines.filter((line) => line.includes('"process.stopped"'))).to.have.length(3);
    expect(run.lines.filter((line) => /process\.(close|unhandled|uncaught)/.test(line))).to.deep.equal([]);
    for (const gone of [port, opsPort, ...internal])
      expect(await fetch(`http://127.0.0.1:${gone}/`).catch(() => "nobody there")).to.equal("nobody there");
  });
});
