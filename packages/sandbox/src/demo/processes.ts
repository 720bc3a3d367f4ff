import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export interface Command {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Everything it prints goes here. */
  readonly logFile: string;
  /** A channel by which our apps notice that this process is gone, however it went. */
  readonly hasChannel?: boolean;
}

/** One process of the demo, in a group of its own: Ctrl-C reaches it only through us, in our order. */
export interface DemoProcess {
  readonly name: string;
  readonly pid: number;
  /** Polls until `isReady`; rejects with the last lines of its log when it ends first or takes too long. */
  ready(isReady: () => Promise<boolean>, timeoutMs: number): Promise<void>;
  /** SIGTERM, and SIGKILL after the deadline; true when it ended by itself with 0. */
  stop(deadlineMs: number): Promise<boolean>;
}

const POLL_MS = 100;
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export function startProcess(command: Command): DemoProcess {
  const log = createWriteStream(command.logFile, { flags: "a" });
  const child = spawn(command.program, command.args, {
    cwd: command.cwd,
    env: command.env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe", ...(command.hasChannel ? (["ipc"] as const) : [])],
  });
  running.add(child);
  let tail = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => {
      log.write(chunk);
      tail = (tail + chunk.toString()).slice(-3_000);
    });
  const isOver = () => child.exitCode !== null || child.signalCode !== null;
  const closed = once(child, "close")
    .catch((error: unknown) => {
      tail += String(error);
    })
    .finally(() => {
      running.delete(child);
      log.end();
    });
  return {
    name: command.name,
    pid: child.pid ?? 0,
    async ready(isReady, timeoutMs) {
      const deadline = Date.now() + timeoutMs;
      while (!(await isReady().catch(() => false))) {
        if (isOver() || child.pid === undefined)
          throw new Error(`${command.name} ended before it was ready:\n${tail}`);
        if (Date.now() > deadline) throw new Error(`${command.name} did not become ready:\n${tail}`);
        await sleep(POLL_MS);
      }
    },
    async stop(deadlineMs) {
      if (!isOver()) child.kill("SIGTERM");
      const killer = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
      await closed;
      clearTimeout(killer);
      return child.exitCode === 0;
    },
  };
}

/** Whether an address answers with 200. */
export async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  await response.body?.cancel();
  return response.status === 200;
}
