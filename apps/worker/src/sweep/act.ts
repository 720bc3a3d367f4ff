import { type Demand, parseDemandJobId } from "@grp/core";
import { type Note, type RunnerRecord, recordBegun, warn } from "@grp/ledger";
import type { WorkerContext } from "../context.ts";
import { releasePlace } from "../places.ts";
import { judgeEnd } from "../setbacks.ts";
import type { Deed } from "./rule.ts";

/** Does one deed. Safe to repeat: the next sweep may come to the same judgement before this one shows. */
export async function act(context: WorkerContext, deed: Deed, signal: AbortSignal): Promise<void> {
  const { ledger } = context;
  switch (deed.kind) {
    case "end":
      return end(context, deed);
    case "retire":
      return retire(context, deed);
    case "give-up-launch":
      return giveUpLaunch(context, deed.runner, deed.text);
    case "note":
      return ledger.addRunnerNote(deed.runnerName, deed.note);
    case "record-step":
      return void (await ledger.recordStep(deed.runnerName, deed.step, context.now()));
    case "deregister":
      // Busy by now: then it is not a ghost.
      return void (await context.github.deregister(deed.scope, deed.runnerId, signal));
    case "release-place":
      return releasePlace(context, deed.holder);
    case "forget-cap":
      return ledger.forgetCap(deed.name);
    case "warn":
      return warn(context, { kind: deed.about, text: deed.text, ttlMs: WARNING_MS });
    default:
      return actOnDemand(context, deed);
  }
}

async function actOnDemand(
  context: WorkerContext,
  deed: Extract<Deed, { kind: "note-demand" | "enqueue" | "fail" | "record-workflow-job" }>,
): Promise<void> {
  switch (deed.kind) {
    case "note-demand":
      return context.ledger.addNote(deed.key, deed.note);
    case "enqueue":
      return enqueue(context, deed);
    case "fail":
      return fail(context, deed.demand, deed);
    case "record-workflow-job":
      return recordBegun(context.ledger, deed);
  }
}

/** Longer than a day, so that what only a nightly run shows stays in sight. */
const WARNING_MS = 26 * 3_600_000;

async function end(context: WorkerContext, deed: Extract<Deed, { kind: "end" }>): Promise<void> {
  const { kind: _kind, ...what } = deed;
  await context.producer.enqueueTermination({ version: 1, ...what, requestedAt: context.now() });
}

async function retire(context: WorkerContext, deed: Extract<Deed, { kind: "retire" }>): Promise<void> {
  const { runner, reason } = deed;
  const { kind, text } = await judgeEnd(context, runner, deed);
  const note = { at: context.now(), kind: reason, text };
  // Out of the supply first; should its end not get through after that, the `finished` rule sees to it.
  const { runnerName, launchId, provider, instanceId } = runner;
  const isFirst = await context.ledger.recordStep(runnerName, "finished", context.now(), note);
  if (isFirst) await tellDemand(context, runner, { ...note, kind });
  const machine = instanceId === undefined ? {} : { instanceId };
  await end(context, { kind: "end", runnerName, launchId, provider, reason, ...machine });
}

async function giveUpLaunch(context: WorkerContext, runner: RunnerRecord, text: string): Promise<void> {
  // No machine was seen, so none failed to boot: a throttle or an outage of the provider's is no fault of the class'.
  const note = { at: context.now(), kind: "unanswered", text };
  // The launch is judged no more after this: so its demand is told once.
  await context.ledger.recordLaunchFailed(runner.launchId, note);
  await tellDemand(context, runner, note);
}

/** The one whose place the machine has: the others of its launch have machines of their own. */
async function tellDemand(context: WorkerContext, runner: RunnerRecord, note: Note): Promise<void> {
  await context.ledger.addNote(parseDemandJobId(runner.placeHolder).key, note);
}

async function enqueue(
  context: WorkerContext,
  { demand, provider }: Extract<Deed, { kind: "enqueue" }>,
): Promise<void> {
  await context.producer.enqueueDemand(demand, provider);
  await context.ledger.recordQueued(demand);
  await context.ledger.markEnqueued(demand.key, context.now());
}

async function fail(
  context: WorkerContext,
  demand: Demand,
  { errorClass, message }: { errorClass: string; message: string },
): Promise<void> {
  const isFirst = await context.ledger.recordFailure(demand.key, {
    at: context.now(),
    errorClass,
    message,
    demand,
  });
  if (!isFirst) return;
  const { key, workflowJobId, owner, repository, runnerClass, generation } = demand;
  context.metrics.failed({ runnerClass, errorClass });
  context.log.error("runner.failed", {
    key,
    workflowJobId,
    repository: `${owner}/${repository}`,
    runnerClass,
    generation,
    errorClass,
    error: message,
  });
}
