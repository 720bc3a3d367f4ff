import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

export interface RedisOptions {
  /** Append-only file on (`appendfsync always`): what was acknowledged survives `kill("SIGKILL")`. Off by default. */
  readonly aof?: boolean;
  /** More `redis-server` arguments, e.g. `["--maxmemory", "5mb"]`. */
  readonly args?: readonly string[];
  /** A Sentinel that watches nothing, instead. */
  readonly isSentinel?: boolean;
}

/** A real Redis of this test alone: own port, own directory, gone with `stop()`. */
export interface TestRedis {
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  /** Process id of the server that runs now; changes with `restart()`. */
  readonly pid: number;
  /** Ends the server with the signal (SIGKILL unless told otherwise) and waits for its end; the data directory stays. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts the server again on the same port and directory; kills it first if it still runs. */
  restart(): Promise<void>;
  /** Freezes the server (SIGSTOP): connections stay open and nothing answers. */
  pause(): void;
  resume(): void;
  /** Ends the server and removes its directory. Harmless when called again. */
  stop(): Promise<void>;
}

const startDeadlineMs = 10_000;
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export async function startRedis(options: RedisOptions = {}): Promise<TestRedis> {
  const program = findRedisServer();
  const dir = mkdtempSync(join(tmpdir(), "grp-redis-"));
  for (let attempt = 1; ; attempt++) {
    const port = await findFreePort();
    const launch = () => launchServer(program, [...serverArguments(port, dir, options)]);
    try {
      return holdServer({ port, dir, launch, child: await launch() });
    } catch (error) {
      // Somebody else may have taken the port between the look and the start.
      if (attempt === 3) throw error;
    }
  }
}

/** The Redis or Valkey server on PATH. */
export function findRedisServer(path = process.env.PATH ?? ""): string {
  const names = ["redis-server", "valkey-server"];
  const found = names
    .flatMap((name) => path.split(delimiter).map((folder) => join(folder, name)))
    .find(isExecutable);
  if (found === undefined) throw new Error("No redis-server or valkey-server on PATH: run `make setup`.");
  return found;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A TCP port of 127.0.0.1 that was free a moment ago. Prefer port 0 wherever the listener is yours. */
export function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = address !== null && typeof address === "object" ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

function serverArguments(port: number, dir: string, options: RedisOptions): string[] {
  const address = ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir];
  if (options.isSentinel) {
    const file = join(dir, "sentinel.conf");
    writeFileSync(file, "");
    return [file, "--sentinel", ...address];
  }
  return [
    ...[...address, "--save", ""],
    ...["--appendonly", options.aof ? "yes" : "no", "--appendfsync", "always"],
    ...["--maxmemory-policy", "noeviction", "--daemonize", "no", "--logfile", ""],
    ...(options.args ?? []),
  ];
}

function launchServer(program: string, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return new Promise((resolve, reject) => {
    let output = "";
    const fail = (reason: string) => {
      clearTimeout(deadline);
      child.kill("SIGKILL");
      reject(new Error(`${program} ${reason}\n${output}`));
    };
    const deadline = setTimeout(() => fail("did not become ready"), startDeadlineMs);
    const read = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4_000);
      if (!/Ready to accept connections|Sentinel ID is/.test(output)) return;
      clearTimeout(deadline);
      child.stdout?.off("data", read).resume();
      resolve(child);
    };
    child.stdout?.on("data", read);
    child.stderr?.resume();
    child.once("error", (error) => fail(`could not be started: ${error.message}`));
    child.once("exit", (code) => fail(`ended with ${code} before it was ready`));
  });
}

interface HeldServer {
  readonly port: number;
  readonly dir: string;
  readonly child: ChildProcess;
  launch(): Promise<ChildProcess>;
}

function holdServer({ port, dir, launch, child: first }: HeldServer): TestRedis {
  let child = first;
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    dir,
    get pid() {
      return child.pid ?? 0;
    },
    kill: (signal = "SIGKILL") => endServer(child, signal),
    async restart() {
      await endServer(child, "SIGKILL");
      child = await launch();
    },
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    async stop() {
      await endServer(child, "SIGKILL");
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function endServer(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("close", () => resolve());
    // A frozen server takes a gentle signal only once it runs again.
    child.kill("SIGCONT");
    child.kill(signal);
  });
}
