import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const MAIN = new URL("../main.ts", import.meta.url).pathname;

const CATALOG = `
version: 1
allow: { owners: [acme] }
classes:
  - name: linux
    labels: [linux]
    platform: { os: linux, arch: arm64 }
    maxRunners: 2
    offerings:
      - { provider: ec2, region: us-east-1, image: { id: ami-0aa1000000000001 }, instanceTypes: [t4g.large],
          subnets: [subnet-a], securityGroups: [sg-a] }
`;

export interface WorkerProcess {
  /** Resolves with the fields of the next line of that message. */
  line(message: string): Promise<Record<string, unknown>>;
  /** Everything printed so far. */
  output(): string;
  /** Sends the signal and gives the exit code, null when the signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  readonly exited: Promise<number | null>;
}

/** Settings with which a worker starts; `clean` removes its catalog. */
export function makeEnvironment(redisUrl: string, ec2Url: string) {
  const dir = mkdtempSync(join(tmpdir(), "grp-worker-"));
  const file = join(dir, "runners.yaml");
  writeFileSync(file, CATALOG);
  const environment = {
    PATH: process.env.PATH ?? "",
    GRP_ENV_FILE: "none",
    REDIS_URL: redisUrl,
    PUBLIC_URL: "https://grp.test",
    RUNNERS_FILE: file,
    TICKET_SECRET: "a ticket secret for tests, long enough",
    GITHUB_TOKEN: "a token for tests",
    // Nobody listens there: the worker needs GitHub only for what has claimed.
    GITHUB_API_URL: "http://127.0.0.1:9",
    USE_CODEMAGIC: "false",
    AWS_ENDPOINT_URL_EC2: ec2Url,
    AWS_ACCESS_KEY_ID: "AKIDTEST",
    AWS_SECRET_ACCESS_KEY: "not-a-secret",
    INTERNAL_PORT: "0",
  };
  return { environment, clean: () => rmSync(dir, { recursive: true }) };
}

/** A real worker process, as `make run` starts it. */
export function startWorkerProcess(
  environment: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): WorkerProcess {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const printed: string[] = [];
  const waiting = new Map<string, (fields: Record<string, unknown>) => void>();
  const exited = once(child, "close").then(([code]) => code as number | null);
  const read = (text: string) => {
    printed.push(text);
    const fields = parse(text);
    waiting.get(String(fields.message))?.(fields);
  };
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on("line", read);
  return {
    exited,
    output: () => printed.join("\n"),
    line: (message) => Promise.race([awaitLine(printed, waiting, message), fail(exited, printed)]),
    end: (signal) => kill(child, signal, exited),
  };
}

function awaitLine(
  printed: readonly string[],
  waiting: Map<string, (fields: Record<string, unknown>) => void>,
  message: string,
): Promise<Record<string, unknown>> {
  const known = printed.map(parse).find((fields) => fields.message === message);
  if (known) return Promise.resolve(known);
  return new Promise((resolve) => waiting.set(message, resolve));
}

async function fail(exited: Promise<number | null>, printed: readonly string[]): Promise<never> {
  const code = await exited;
  throw new Error(`the worker ended with ${code}:\n${printed.join("\n")}`);
}

async function kill(child: ChildProcess, signal: NodeJS.Signals, exited: Promise<number | null>) {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  return exited;
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
