import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const UNSHARE = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];

export const hasCommand = (name: string): boolean =>
  spawnSync("sh", ["-c", `command -v ${name}`]).status === 0;

/** Whether this test may make namespaces and has what a Linux machine has. */
export function hasRealMachine(): boolean {
  return (
    process.getuid?.() === 0 &&
    ["ip", "useradd", "runuser", "curl", "tar"].every(hasCommand) &&
    spawnSync("unshare", [...UNSHARE, "mount", "-t", "tmpfs", "machine", "/opt"]).status === 0
  );
}

/** Metadata service, ingress and download in one, at port 80 of every address of the machine. */
const WORLD = `
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
const folder = process.argv[2];
const answers = JSON.parse(readFileSync(folder + "/answers.json", "utf8"));
createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  appendFileSync(folder + "/asked.jsonl", JSON.stringify({ path: request.url, body }) + "\\n");
  if (request.url === "/runner.tar.gz") return response.end(readFileSync(folder + "/runner.tar.gz"));
  const answer = answers[request.url];
  response.writeHead(answer === undefined ? 404 : answer === "" ? 204 : 200).end(answer);
}).listen(80, () => writeFileSync(folder + "/listening", ""));
`;

export interface RealRun {
  /** What the runner program posted to `/seen`, by its own word for it. */
  readonly seen: Readonly<Record<string, string>>;
  readonly phases: readonly string[];
  readonly shutdowns: readonly string[];
  readonly output: string;
}

export interface RealMachine {
  /** The whole boot script, with GRP_URL at `http://127.0.0.1`. */
  readonly bootScript: string;
  /** Shell commands of the runner program, by a word; it posts what each prints. */
  readonly looks: Readonly<Record<string, string>>;
  /** Commands in place of the machine's own. */
  readonly commands?: Readonly<Record<string, string>>;
}

/** Boots a Linux machine for real, as far as one can without a kernel of one's own, and says what its runner could do. */
export async function runRealMachine({ bootScript, looks, commands = {} }: RealMachine): Promise<RealRun> {
  const folder = mkdtempSync(join(tmpdir(), "grp-real-"));
  try {
    const runner = packRunner(folder, looks);
    writeFileSync(join(folder, "boot.sh"), bootScript);
    writeFileSync(join(folder, "world.mjs"), WORLD);
    writeFileSync(join(folder, "answers.json"), JSON.stringify(answersOf(runner)));
    mkdirSync(join(folder, "bin"));
    const note = `#!/bin/sh\necho "\${0##*/} $*" >>${folder}/shutdowns\n`;
    for (const [name, text] of Object.entries({ shutdown: note, poweroff: note, ...commands })) {
      writeFileSync(join(folder, "bin", name), text);
      chmodSync(join(folder, "bin", name), 0o755);
    }
    const script = new URL("./real-machine.sh", import.meta.url).pathname;
    const child = spawn("unshare", [...UNSHARE, "bash", script, folder]);
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
    await once(child, "close");
    return { ...readRun(folder), output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function packRunner(folder: string, looks: RealMachine["looks"]): string {
  const posts = Object.entries(looks).map(
    ([word, command]) =>
      `{ ${command}; } 2>&1 | curl -s --data-binary @- "http://127.0.0.1/seen?${word}" >/dev/null`,
  );
  const script = `#!/bin/bash\necho "Listening for Jobs"\necho "Running job: x"\n${posts.join("\n")}\nexit 0\n`;
  writeFileSync(join(folder, "run.sh"), script, { mode: 0o755 });
  execFileSync("tar", ["-czf", "runner.tar.gz", "run.sh"], { cwd: folder });
  return createHash("sha256")
    .update(readFileSync(join(folder, "runner.tar.gz")))
    .digest("hex");
}

function answersOf(sha256: string): Record<string, string> {
  const granted = {
    runner_name: "grp-1-0",
    jit_config: "a-registration",
    report_ticket: "a-report-ticket",
    runner_url: "http://127.0.0.1/runner.tar.gz",
    runner_sha256: sha256,
    runner_version: "2.337.0",
    runner_filename: "actions-runner.tar.gz",
  };
  return {
    "/latest/api/token": "imds-token",
    "/latest/meta-data/instance-id": "i-123",
    "/latest/dynamic/instance-identity/document": "{}",
    "/latest/dynamic/instance-identity/rsa2048": "MIAG",
    "/claims": Object.entries(granted)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
    "/claims/report": "",
  };
}

function readRun(folder: string): Omit<RealRun, "output"> {
  const read = (name: string) => {
    try {
      return readFileSync(join(folder, name), "utf8").trim().split("\n");
    } catch {
      return [];
    }
  };
  const asked = read("asked.jsonl").map((line) => JSON.parse(line) as { path: string; body: string });
  const seen = asked.filter(({ path }) => path.startsWith("/seen?"));
  return {
    seen: Object.fromEntries(seen.map(({ path, body }) => [path.slice(6), body.trim()])),
    phases: asked
      .filter(({ path }) => path === "/claims/report")
      .map(({ body }) => (JSON.parse(body) as { phase: string }).phase),
    shutdowns: read("shutdowns"),
  };
}
