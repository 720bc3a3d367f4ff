import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { onCore } from "./cores.ts";

export interface ProgramOptions {
  readonly name: string;
  /** Of node: the file first. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly core: "server" | "second-server";
  /** It is ready when this address answers anything. */
  readonly url: string;
  readonly logFile: string;
}

export interface Program {
  readonly pid: number;
  /** It does nothing until it is resumed. Harmless when it has ended. */
  hold(): void;
  resume(): void;
  /** SIGTERM, and SIGKILL after a while. */
  stop(): Promise<void>;
}

const READY_MS = 20_000;
const STOP_MS = 12_000;

/** They end with this process. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** A node process whose output goes straight to a file, as under a container runtime: nobody reads along. */
export async function startProgram(options: ProgramOptions): Promise<Program> {
  const log = openSync(options.logFile, "a");
  const [program, ...args] = onCore(options.core, [process.execPath, ...options.args]);
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH ?? "", NODE_ENV: "production", ...options.env },
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  running.add(child);
  child.once("exit", () => running.delete(child));
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGCONT");
    child.kill("SIGTERM");
    const killer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await exited;
    clearTimeout(killer);
  };
  const deadline = Date.now() + READY_MS;
  while (!(await answers(options.url))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(
        `${options.name} did not start:\n${readFileSync(options.logFile, "utf8").slice(-3_000)}`,
      );
    }
    await sleep(50);
  }
  return {
    pid: child.pid ?? 0,
    hold: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    stop,
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await response.body?.cancel();
    return response.status < 500;
  } catch {
    return false;
  }
}
