import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { guard } from "../warden.ts";

/** What a machine prints is kept to this much, the newest. */
const CONSOLE_CHARS = 200_000;
/** A shutdown's processes get this long between SIGTERM and SIGKILL. */
const GRACE_MS = 400;

const running = new Set<number>();
process.on("exit", () => {
  for (const pid of running) for (const group of groupsOf(pid)) kill(group, "SIGKILL");
});

/** All processes of one machine, as one group. */
export interface ProcessGroup {
  /** Ends with the exit code; null when it was killed. Commands run one at a time. */
  run(
    command: readonly string[],
    options: { cwd: string; env: Record<string, string> },
  ): Promise<number | null>;
  /** SIGTERM, then SIGKILL, for all of it; nothing runs afterwards. */
  end(): Promise<void>;
  console(): string;
}

export function createProcessGroup(onOutput?: (chunk: string) => void): ProcessGroup {
  let console_ = "";
  let isEnded = false;
  let current: { child: ChildProcess; closed: Promise<unknown> } | null = null;
  const pids = new Set<number>();
  const guarded: (() => void)[] = [];
  const read = (chunk: Buffer) => {
    console_ = (console_ + chunk.toString()).slice(-CONSOLE_CHARS);
    onOutput?.(chunk.toString());
  };
  return {
    async run([program = "true", ...args], options) {
      if (isEnded) return null;
      const child = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"], detached: true });
      const { pid } = child;
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      if (pid !== undefined) {
        running.add(pid);
        pids.add(pid);
        guarded.push(guard(pid));
      }
      const closed = once(child, "close").catch((error: unknown) => read(Buffer.from(`${String(error)}\n`)));
      current = { child, closed };
      await closed;
      current = null;
      return child.exitCode;
    },
    async end() {
      isEnded = true;
      for (const pid of pids) kill(pid, "SIGTERM");
      const closed = current?.closed ?? Promise.resolve();
      await Promise.race([closed, sleep(GRACE_MS)]);
      // Also what the first process left behind.
      for (const pid of pids) {
        for (const group of groupsOf(pid)) kill(group, "SIGKILL");
        running.delete(pid);
      }
      for (const letGo of guarded.splice(0)) letGo();
      await closed;
    },
    console: () => console_,
  };
}

/** The process groups of a session: a script with job control makes more than the one it was started in. */
function groupsOf(session: number): ReadonlySet<number> {
  const groups = new Set([session]);
  for (const { group, session: its } of listProcesses()) if (its === session) groups.add(group);
  return groups;
}

function listProcesses(): { group: number; session: number }[] {
  // macOS has no /proc; there `ps` says the leader's group, and what left it ends with its own guard.
  if (!existsSync("/proc/self/stat")) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap(readStat);
}

function readStat(pid: string): { group: number; session: number }[] {
  try {
    // pid (name) state ppid pgrp session …; the name may hold anything.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return [{ group: Number(fields[2]), session: Number(fields[3]) }];
  } catch {
    return [];
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Nothing of the group is left.
  }
}
