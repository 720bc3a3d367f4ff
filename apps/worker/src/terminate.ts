import { limitsOf, type ProviderName, parseDemandJobId } from "@grp/core";
import type { RunnerRecord, WorkflowJobRecord } from "@grp/ledger";
import type { Termination, WorkContext, WorkOutcome } from "@grp/queue";
import { providerOf, type WorkerContext } from "./context.ts";
import { releasePlace } from "./places.ts";
import { judgeEnd } from "./setbacks.ts";
import { isTakenFromUs } from "./taken-from-us.ts";

/** A machine that is told to end takes 30 s to some minutes; a mac up to fifteen. */
const [MIN_DELAY_MS, MAX_DELAY_MS] = [3_000, 60_000];

/** GitHub lets go of a runner some seconds after its last step; a job may run for hours. */
const BUSY_DELAY_MS = 30_000;

/** A provider's list may be that far behind a launch: younger, an absent machine means nothing. */
const UNSEEN_GRACE_MS = 600_000;

/**
 * Ends one machine and says so only when its provider does. Then its place goes to the next in line and its runner comes
 * off GitHub. A runner that GitHub calls busy is left alone until its class's `maxRuntime` is over. Safe to repeat.
 */
export async function terminate(
  context: WorkerContext,
  termination: Termination,
  work: WorkContext,
): Promise<WorkOutcome> {
  const runner = await context.ledger.getRunner(termination.runnerName);
  if (context.dryRun) return { kind: "done", result: { outcome: "skipped", why: "dry run" } };
  if (await mustSpare(context, termination, runner, work.signal))
    return { kind: "wait", delayMs: BUSY_DELAY_MS, why: "its runner is busy" };
  const state = await endMachine(context, termination, runner, work.signal);
  if (state !== "gone") return waitFor(context, termination, state);
  if (runner) await settle(context, runner, termination.reason);
  const isOff = runner ? await deregister(context, runner, work.signal) : true;
  if (!isOff) return waitFor(context, termination, "GitHub still calls its runner busy");
  tell(context, termination, runner);
  return { kind: "done", result: { outcome: "gone", reason: termination.reason } };
}

/**
 * Whether it runs a job, unless for longer than any job may. GitHub refuses to let go of a busy runner, so taking it
 * off first proves that it is idle, and that it stays so.
 */
async function mustSpare(
  context: WorkerContext,
  { reason }: Termination,
  runner: RunnerRecord | null,
  signal: AbortSignal,
): Promise<boolean> {
  if (!runner || reason === "max-runtime" || isOverdue(context, runner)) return false;
  if (await isHarmless(context, runner)) return false;
  const answer = await takeOff(context, runner, signal);
  // Then the ledger's word is all there is.
  return answer === "hidden" ? runner.step === "busy" : answer === "busy";
}

/**
 * No registration was minted for it, or GitHub has said that its one workflow job is over: GitHub need not be asked. The
 * step `finished` is no proof of that: the sweep sets it too, of a machine it takes for lost.
 */
async function isHarmless(context: WorkerContext, runner: RunnerRecord): Promise<boolean> {
  if (runner.step === "gone" || runner.times.claimed === undefined) return true;
  return (await findServed(context, runner)) !== null;
}

/** The workflow job that ran on it, once GitHub has said that it is over. */
async function findServed(
  { ledger }: WorkerContext,
  { runnerName, workflowJobKey }: RunnerRecord,
): Promise<WorkflowJobRecord | null> {
  const workflowJob = workflowJobKey === undefined ? null : await ledger.getWorkflowJob(workflowJobKey);
  const isOver = workflowJob?.workflowJobState === "completed" && workflowJob.servedBy === runnerName;
  return isOver ? workflowJob : null;
}

function isOverdue(context: WorkerContext, { runnerClass, times }: RunnerRecord): boolean {
  const { maxRuntime } = limitsOf(context.catalog, runnerClass);
  const since = times.busy ?? times.claimed;
  return since !== undefined && context.now() - since > maxRuntime;
}

/** `gone` only by its provider's word; a machine nobody has seen is gone once the list must have shown it. */
async function endMachine(
  context: WorkerContext,
  termination: Termination,
  runner: RunnerRecord | null,
  signal: AbortSignal,
): Promise<"gone" | string> {
  const provider = providerOf(context, termination.provider);
  const known = termination.instanceId ?? runner?.instanceId;
  const ids = known === undefined ? await findMachines(context, termination, signal) : [known];
  if (ids.length === 0) return isOldEnough(context, runner) ? "gone" : "its machine may not be listed yet";
  const states = [];
  const region = runner?.instance?.region;
  for (const id of ids) states.push(await provider.terminate(id, signal, region));
  return states.every((state) => state === "gone") ? "gone" : "its machine is still ending";
}

/** The machines of its launch that the ledger knows for nobody's: the others belong to its siblings. */
async function findMachines(
  context: WorkerContext,
  { provider, launchId }: { provider: ProviderName; launchId: string },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { instances: listed, unasked } = await providerOf(context, provider).list(signal);
  const ids = listed.filter((one) => one.launchId === launchId).map((one) => one.instanceId);
  // It may be there.
  if (ids.length === 0 && unasked[0]) throw unasked[0].error;
  const owners = await Promise.all(ids.map((id) => context.ledger.findRunner(launchId, id)));
  return ids.filter((_id, index) => owners[index] === null);
}

function isOldEnough(context: WorkerContext, runner: RunnerRecord | null): boolean {
  const since = runner?.times.launched ?? runner?.times.launching;
  return since === undefined || context.now() - since > UNSEEN_GRACE_MS;
}

async function settle(context: WorkerContext, runner: RunnerRecord, reason: string): Promise<void> {
  const note = { at: context.now(), kind: "reaped", text: reason };
  const isFirst = await context.ledger.recordStep(runner.runnerName, "gone", context.now(), note);
  // Of one that was retired before, its demand was told then.
  if (isFirst && runner.step !== "finished") {
    const end = await judgeEnd(context, runner, { reason, text: "its machine ended before it claimed" });
    const { key } = parseDemandJobId(runner.placeHolder);
    if (end.kind !== reason) await context.ledger.addNote(key, { at: context.now(), ...end });
  }
  await releasePlace(context, runner.placeHolder);
}

/**
 * False while GitHub takes it for busy: it notices a dead machine only after some minutes. Whose job succeeded has told
 * GitHub so itself, which then lets go of a single-use runner: to ask would take a fifth of a registration's points for
 * each job, when a burst has none to spare. One that is there all the same is a ghost of the sweep's.
 */
async function deregister(
  context: WorkerContext,
  runner: RunnerRecord,
  signal: AbortSignal,
): Promise<boolean> {
  if (runner.times.claimed === undefined && runner.runnerId === undefined) return true;
  if ((await findServed(context, runner))?.conclusion === "success") return true;
  return (await takeOff(context, runner, signal)) !== "busy";
}

/** `hidden`: GitHub shows us nothing where it was registered, and takes nothing off for us. */
async function takeOff(
  { github }: WorkerContext,
  { scope, runnerName }: RunnerRecord,
  signal: AbortSignal,
): Promise<"off" | "busy" | "hidden"> {
  try {
    const known = await github.findRunner(scope, runnerName, signal);
    if (!known) return "off";
    const isBusy = known.busy || (await github.deregister(scope, known.runnerId, signal)) === "busy";
    return isBusy ? "busy" : "off";
  } catch (error) {
    if (!isTakenFromUs(error)) throw error;
    return "hidden";
  }
}

function waitFor(context: WorkerContext, { requestedAt }: Termination, why: string): WorkOutcome {
  const elapsed = context.now() - requestedAt;
  return { kind: "wait", why, delayMs: Math.min(Math.max(elapsed / 4, MIN_DELAY_MS), MAX_DELAY_MS) };
}

function tell(context: WorkerContext, termination: Termination, runner: RunnerRecord | null): void {
  const { runnerName, launchId, provider, reason, requestedAt } = termination;
  context.metrics.reaped({ provider, reason });
  context.log.info("instance.reaped", {
    runnerName,
    launchId,
    provider,
    reason,
    instanceId: termination.instanceId ?? runner?.instanceId,
    runnerClass: runner?.runnerClass,
    workflowJobKey: runner?.workflowJobKey,
    sinceRequestedMs: context.now() - requestedAt,
    livedMs: runner?.times.launched === undefined ? undefined : context.now() - runner.times.launched,
  });
}
