import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { MachineClaim } from "../machines.ts";
import { type Asked, ask } from "./ask.ts";
import { createDeadline, type Deadline } from "./deadline.ts";
import type { Fate, MachineFault } from "./fate.ts";
import { createRunnerProgram } from "./runner.ts";
import type { BootSettings } from "./settings.ts";

export interface LightMachine {
  readonly settings: BootSettings;
  readonly instanceId: string;
  readonly os: "linux" | "macos";
  readonly arch: "arm64" | "x64";
  /** What proves an EC2 machine's identity; builds have nothing of the kind. */
  readonly identify: () => { readonly identityDocument?: string; readonly identitySignature?: string };
  readonly fate: Fate;
  /** Aborted when the machine is ended from outside. */
  readonly power: AbortSignal;
  /** Resolves with AWS's notice when the machine is to be taken back. */
  readonly interruption: Promise<string>;
  now(): number;
  log(line: string): void;
  /** What it asked for, and got: its own record. */
  readonly claims: MachineClaim[];
  /** Of another EC2 machine that is on, if one is. */
  anotherTicket(): string | undefined;
  /** Its fault comes out. */
  onBroken(): void;
  /** Its secrets, once it has them, for who must look whether they are anywhere else. */
  onGranted(secrets: readonly string[]): void;
}

/** As core.sh: a claim that is refused so is final. */
const FINAL = [400, 401, 409, 410];
/** And these give the machine its time to boot anew. */
const PUT_OFF = ["claim_in_line", "github_unavailable", "redis_unavailable"];
const [REPORT_TIMEOUT_MS, CLAIM_TIMEOUT_MS] = [10_000, 30_000];

/**
 * A machine's life by the rules of the boot script (packages/providers/src/boot/core.sh): the same calls in the same
 * order, the same limits and pauses; of the runner program only its words with GitHub. Resolves with the script's exit
 * code when the machine powers off, rejects when its power is cut.
 */
export async function boot(machine: LightMachine): Promise<number> {
  const deadline = createDeadline(machine.power);
  try {
    return await work(machine, deadline);
  } catch (error) {
    if (deadline.name() === undefined) throw error;
    await report(machine, machine.settings.ticket, {
      phase: "failed",
      detail: `${deadline.name()} timeout`,
      exitCode: 1,
    });
    return 1;
  } finally {
    deadline.clear();
  }
}

async function work(machine: LightMachine, deadline: Deadline): Promise<number> {
  const { settings, fate } = machine;
  await sleep(fate.bootMs, undefined, { signal: machine.power });
  const isEarly = fate.random() < 0.5;
  if (isEarly && breaks(machine, "dies-in-boot")) return 1;
  deadline.set(settings.bootTimeoutMs, "boot");
  await report(machine, settings.ticket, { phase: "booted", detail: machine.os });
  if (breaks(machine, "dies-in-boot")) return 1;
  if (breaks(machine, "never-claims")) return stayOn(machine, deadline);
  if (fate.quirk === "tries-another") await tryAnother(machine, deadline);
  const granted = await claim(machine, deadline);
  if (!granted) return 0;
  deadline.set(settings.idleTimeoutMs, "idle");
  if (breaks(machine, "dies-after-claim")) return 1;
  await report(machine, granted.reportTicket, { phase: "downloaded" });
  return run(machine, granted, deadline);
}

async function run(machine: LightMachine, granted: Granted, deadline: Deadline): Promise<number> {
  const { fate, settings } = machine;
  const tell = (phase: string, detail?: string, exitCode?: number) =>
    report(machine, granted.reportTicket, { phase, detail, exitCode });
  void machine.interruption.then((notice) => tell("interrupted", notice)).catch(() => {});
  const program = createRunnerProgram(granted.jitConfig, deadline.signal);
  if (breaks(machine, "never-online"))
    await sleep(settings.idleTimeoutMs * 2, undefined, { signal: deadline.signal });
  if (!(await program.connect())) return fail(tell, "the runner ended with 0 before it was online");
  await tell("online", granted.runnerName);
  const hangsIdle = fate.random() < 0.5;
  if (hangsIdle && breaks(machine, "hangs")) return stayOn(machine, deadline);
  const job = await program.takeJob();
  if (job === null) return fail(tell, "the runner ended with 0 without a workflow job");
  deadline.set(settings.maxRuntimeMs, "max runtime");
  machine.log("a workflow job began");
  if (breaks(machine, "hangs")) return stayOn(machine, deadline);
  if (fate.quirk === "asks-again")
    await askOnce(machine, deadline, { ticket: settings.ticket, isRude: true });
  await program.runJob();
  await tell("finished", "the workflow job ended", 0);
  return 0;
}

/** Whether this is where its fault comes out. */
function breaks(machine: LightMachine, fault: MachineFault): boolean {
  if (machine.fate.fault !== fault) return false;
  machine.onBroken();
  return true;
}

async function fail(tell: (phase: string, detail: string, exitCode: number) => Promise<void>, why: string) {
  await tell("failed", why, 1);
  return 1;
}

/** Silent, its guard dead too, until its power is cut. */
async function stayOn(machine: LightMachine, deadline: Deadline): Promise<never> {
  deadline.clear();
  machine.log("hangs");
  if (!machine.power.aborted) await once(machine.power, "abort");
  throw machine.power.reason;
}

interface Granted {
  readonly runnerName: string;
  readonly jitConfig: string;
  readonly reportTicket: string;
}

/** Undefined when it is told to go. */
async function claim(machine: LightMachine, deadline: Deadline): Promise<Granted | undefined> {
  const { settings, fate } = machine;
  let isToLose = fate.quirk === "loses-answer";
  for (let tries = 1; ; tries++) {
    const { entry, asked } = await askOnce(machine, deadline, { ticket: settings.ticket });
    const { status, headers, text } = asked;
    if (status === 200) {
      const granted = readClaim(machine, text);
      if (!isToLose) return keep(machine, entry, granted);
      isToLose = false;
      entry.status = 0;
    }
    machine.log(`claim ${tries} answered ${entry.status}`);
    if (FINAL.includes(status)) return undefined;
    const retryAfter = headers["retry-after"];
    if (PUT_OFF.some((word) => text.includes(word)))
      deadline.set(settings.bootTimeoutMs + Number(retryAfter ?? 0) * 1_000, "boot");
    const signal = deadline.signal;
    await sleep(pauseMs(tries, retryAfter, fate.random), undefined, { signal });
  }
}

async function askOnce(
  machine: LightMachine,
  { signal }: Deadline,
  { ticket, isRude }: { readonly ticket: string; readonly isRude?: true },
): Promise<{ readonly entry: MachineClaim; readonly asked: Asked }> {
  const { settings, instanceId, os, arch } = machine;
  const entry: MachineClaim = { from: machine.now(), ...(isRude && { isRude }) };
  machine.claims.push(entry);
  const asked = await ask(`${settings.url}/claims`, {
    method: "POST",
    headers: bearer(ticket),
    body: JSON.stringify({ instanceId, os, arch, ...machine.identify() }),
    timeoutMs: CLAIM_TIMEOUT_MS,
    signal,
  });
  Object.assign(entry, { until: machine.now(), status: asked.status });
  return { entry, asked };
}

/** As who would take what is none of its own. */
async function tryAnother(machine: LightMachine, deadline: Deadline): Promise<void> {
  const ticket = machine.anotherTicket();
  if (ticket === undefined) return;
  const { entry } = await askOnce(machine, deadline, { ticket, isRude: true });
  machine.log(`a claim with another's ticket answered ${entry.status}`);
}

/** As long as `Retry-After` says and up to a second more; without it, exponential to 30 s, with jitter. */
function pauseMs(tries: number, retryAfter: string | undefined, random: () => number): number {
  if (retryAfter !== undefined) return (Number(retryAfter) + random()) * 1_000;
  const half = Math.floor(Math.min(2 ** (tries - 1), 30) / 2);
  return (half + random() + Math.floor(random() * (half + 1))) * 1_000;
}

function readClaim(machine: LightMachine, text: string): Granted {
  const values = new Map(text.split("\n").map((line) => line.split(/=(.*)/s, 2) as [string, string]));
  const [runnerName = "", jitConfig = "", reportTicket = ""] = [
    "runner_name",
    "jit_config",
    "report_ticket",
  ].map((name) => values.get(name));
  machine.onGranted([jitConfig, reportTicket]);
  return { runnerName, jitConfig, reportTicket };
}

function keep(machine: LightMachine, entry: MachineClaim, granted: Granted): Granted {
  entry.runnerName = granted.runnerName;
  machine.log(`claimed as ${granted.runnerName}`);
  return granted;
}

/** Best effort, never longer than ten seconds. */
async function report(machine: LightMachine, ticket: string, what: object): Promise<void> {
  const { status } = await ask(`${machine.settings.url}/claims/report`, {
    method: "POST",
    headers: bearer(ticket),
    body: JSON.stringify({ instanceId: machine.instanceId, ...what }),
    timeoutMs: REPORT_TIMEOUT_MS,
    signal: machine.power,
  });
  machine.log(`${JSON.stringify(what)} (report answered ${status})`);
}

function bearer(ticket: string): Record<string, string> {
  return { authorization: `Bearer ${ticket}`, "content-type": "application/json", accept: "text/plain" };
}
