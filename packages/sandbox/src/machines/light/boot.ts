import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { ask } from "./ask.ts";
import { createDeadline, type Deadline } from "./deadline.ts";
import type { Fate } from "./fate.ts";
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
  log(line: string): void;
  /** Its secrets, once it has them, for who must look whether they are anywhere else. */
  onGranted(secrets: readonly string[]): void;
}

/** As core.sh: a claim that is refused so is final. */
const FINAL = [400, 401, 409, 410];
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
  if (fate.fault === "dies-in-boot" && isEarly) return 1;
  deadline.set(settings.bootTimeoutMs, "boot");
  await report(machine, settings.ticket, { phase: "booted", detail: machine.os });
  if (fate.fault === "dies-in-boot") return 1;
  if (fate.fault === "never-claims") return stayOn(machine, deadline);
  const granted = await claim(machine, deadline);
  if (!granted) return 0;
  deadline.set(settings.idleTimeoutMs, "idle");
  if (fate.fault === "dies-after-claim") return 1;
  await report(machine, granted.reportTicket, { phase: "downloaded" });
  return run(machine, granted, deadline);
}

async function run(machine: LightMachine, granted: Granted, deadline: Deadline): Promise<number> {
  const { fate, settings } = machine;
  const tell = (phase: string, detail?: string, exitCode?: number) =>
    report(machine, granted.reportTicket, { phase, detail, exitCode });
  void machine.interruption.then((notice) => tell("interrupted", notice)).catch(() => {});
  const program = createRunnerProgram(granted.jitConfig, deadline.signal);
  if (fate.fault === "never-online")
    await sleep(settings.idleTimeoutMs * 2, undefined, { signal: deadline.signal });
  if (!(await program.connect())) return fail(tell, "the runner ended with 0 before it was online");
  await tell("online", granted.runnerName);
  const hangsIdle = fate.random() < 0.5;
  if (fate.fault === "hangs" && hangsIdle) return stayOn(machine, deadline);
  const job = await program.takeJob();
  if (job === null) return fail(tell, "the runner ended with 0 without a workflow job");
  deadline.set(settings.maxRuntimeMs, "max runtime");
  machine.log("a workflow job began");
  if (fate.fault === "hangs") return stayOn(machine, deadline);
  await program.runJob();
  await tell("finished", "the workflow job ended", 0);
  return 0;
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
  const { settings, instanceId, os, arch } = machine;
  const body = JSON.stringify({ instanceId, os, arch, ...machine.identify() });
  for (let tries = 1; ; tries++) {
    const { status, headers, text } = await ask(`${settings.url}/claims`, {
      method: "POST",
      headers: bearer(settings.ticket),
      body,
      timeoutMs: CLAIM_TIMEOUT_MS,
      signal: deadline.signal,
    });
    if (status === 200) return readClaim(machine, text);
    machine.log(`claim ${tries} answered ${status}`);
    if (FINAL.includes(status)) return undefined;
    if (text.includes("claim_in_line")) deadline.set(settings.bootTimeoutMs, "boot");
    const signal = deadline.signal;
    await sleep(pauseMs(tries, headers["retry-after"], machine.fate.random), undefined, { signal });
  }
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
  machine.log(`claimed as ${runnerName}`);
  machine.onGranted([jitConfig, reportTicket]);
  return { runnerName, jitConfig, reportTicket };
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
