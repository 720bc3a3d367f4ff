import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { finished } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { guard } from "../warden.ts";

export interface Command {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Environment;
  readonly cwd: string;
  /** Everything it prints goes here, over all its runs. */
  readonly logFile: string;
  /** A channel by which our apps notice that this process is gone, however it went. */
  readonly hasChannel?: boolean;
  /** Looked at until it holds; a rejection counts as no. */
  readonly isReady: () => Promise<boolean>;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** One line of its log: the fields of a JSON line, or any other text as its `message`. */
export interface LogLine {
  readonly message: string;
  readonly [field: string]: unknown;
}

/** One process, in a group of its own: Ctrl-C reaches it only through us. */
export interface StackProcess {
  readonly name: string;
  readonly logFile: string;
  /** Of its present or last run; changes with `restart()`. */
  readonly pid: number;
  readonly isRunning: boolean;
  /** Everything printed so far, over all its runs. Read as it comes: a load run sets LOG_LEVEL to keep it small. */
  readonly lines: readonly LogLine[];
  /** The first line of its present run that fits, waited for; a text is compared with the message. */
  line(match: string | ((line: LogLine) => boolean), timeoutMs?: number): Promise<LogLine>;
  /** Rejects with the last lines of its log when it ends first or takes too long. */
  ready(timeoutMs?: number): Promise<void>;
  /** Sends the signal (SIGKILL unless told otherwise) and waits for the end: the exit code, null when a signal ended it. */
  kill(signal?: NodeJS.Signals): Promise<number | null>;
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): void;
  resume(): void;
  /** Starts it again, on the same ports, with these settings changed, and waits until it is ready; kills it first if it runs. */
  restart(changes?: Environment): Promise<void>;
  /** SIGTERM, and SIGKILL after the deadline; true when it ended by itself with 0. Harmless when it has ended. */
  stop(deadlineMs?: number): Promise<boolean>;
}

/** Generous, for a machine that does many other things. */
const READY_MS = 60_000;
const LINE_MS = 60_000;
const STOP_MS = 30_000;
/** An app takes about a second to start. */
const POLL_MS = 50;
const LINES_SHOWN = 15;

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export function startProcess(command: Command): StackProcess {
  const lines: LogLine[] = [];
  const changes = new EventEmitter().setMaxListeners(0);
  const read = (text: string) => {
    lines.push(parseLine(text));
    changes.emit("change");
  };
  let env = command.env;
  let run = startRun(command, env, read);
  let firstLine = 0;
  void run.closed.then(() => changes.emit("change"));
  const complain = (what: string) =>
    new Error(`${command.name} ${what}; its last lines:\n${showLines(lines.slice(firstLine))}`);

  async function waitUntilReady(timeoutMs = READY_MS): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await command.isReady().catch(() => false))) {
      if (isOver(run.child)) throw complain("ended before it was ready");
      if (Date.now() > deadline) throw complain("did not become ready");
      await sleep(POLL_MS);
    }
  }

  async function waitForLine(fits: (line: LogLine) => boolean, timeoutMs: number): Promise<LogLine> {
    const signal = AbortSignal.timeout(timeoutMs);
    for (let seen = firstLine; ; ) {
      const found = lines.slice(seen).find(fits);
      if (found) return found;
      seen = lines.length;
      if (run.isClosed) throw complain("ended before the line came");
      await once(changes, "change", { signal }).catch(() => {
        throw complain(`did not print the line in ${timeoutMs} ms`);
      });
    }
  }

  async function end(signal: NodeJS.Signals, deadlineMs?: number): Promise<number | null> {
    const { child, closed } = run;
    // A frozen process takes a gentle signal only once it runs again.
    if (!isOver(child) && signal !== "SIGKILL") child.kill("SIGCONT");
    if (!isOver(child)) child.kill(signal);
    const killer = deadlineMs === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), deadlineMs);
    await closed;
    clearTimeout(killer);
    return child.exitCode;
  }

  return {
    name: command.name,
    logFile: command.logFile,
    get pid() {
      return run.child.pid ?? 0;
    },
    get isRunning() {
      return !isOver(run.child);
    },
    lines,
    line: (match, timeoutMs = LINE_MS) =>
      waitForLine(typeof match === "string" ? ({ message }) => message === match : match, timeoutMs),
    ready: waitUntilReady,
    kill: (signal = "SIGKILL") => end(signal),
    pause: () => void run.child.kill("SIGSTOP"),
    resume: () => void run.child.kill("SIGCONT"),
    async restart(changed = {}) {
      await end("SIGKILL");
      env = { ...env, ...changed };
      firstLine = lines.length;
      run = startRun(command, env, read);
      void run.closed.then(() => changes.emit("change"));
      await waitUntilReady();
    },
    stop: async (deadlineMs = STOP_MS) => (await end("SIGTERM", deadlineMs)) === 0,
  };
}

interface Run {
  readonly child: ChildProcess;
  /** Settles when it has ended and all that it printed has been read. */
  readonly closed: Promise<void>;
  isClosed: boolean;
}

function startRun(command: Command, env: Environment, onLine: (text: string) => void): Run {
  const log = createWriteStream(command.logFile, { flags: "a" });
  const child = spawn(command.program, command.args, {
    cwd: command.cwd,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe", ...(command.hasChannel ? (["ipc"] as const) : [])],
  });
  running.add(child);
  // One with a channel ends by itself when the channel breaks.
  if (!command.hasChannel && child.pid !== undefined) child.once("exit", guard(child.pid));
  const readers = [child.stdout, child.stderr].map((stream) => {
    if (!stream) return undefined;
    stream.pipe(log, { end: false });
    return once(createInterface({ input: stream }).on("line", onLine), "close");
  });
  const close = async () => {
    await once(child, "close").catch((error: unknown) => onLine(String(error)));
    await Promise.all(readers);
    running.delete(child);
    await finished(log.end()).catch(() => undefined);
    run.isClosed = true;
  };
  const run: Run = { child, closed: close(), isClosed: false };
  return run;
}

function isOver(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

function parseLine(text: string): LogLine {
  try {
    const fields: unknown = JSON.parse(text);
    if (typeof fields === "object" && fields !== null && "message" in fields) return fields as LogLine;
  } catch {
    // Not of our logger.
  }
  return { message: text };
}

function showLines(lines: readonly LogLine[]): string {
  return lines
    .slice(-LINES_SHOWN)
    .map((line) => (Object.keys(line).length === 1 ? line.message : JSON.stringify(line)))
    .join("\n");
}
