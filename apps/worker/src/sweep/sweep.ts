import { randomUUID } from "node:crypto";
import type { WorkflowJobRecord } from "@grp/ledger";
import type { WorkerContext } from "../context.ts";
import { createLock, doAlone, ELSEWHERE } from "../exclusive.ts";
import { act } from "./act.ts";
import { warnOfBlindness } from "./blindness.ts";
import { type ChooseToCheck, createChooser } from "./choose-to-check.ts";
import { gatherWorld } from "./gather.ts";
import type { Deed, Rule } from "./rule.ts";
import { RULES } from "./rules/index.ts";

export interface SweepOptions {
  readonly graceMs: number;
  readonly rules?: readonly Rule[];
  readonly choose?: ChooseToCheck;
  readonly quietScopesMs?: number;
}

/** Ghosts in repositories where nothing of ours runs now hurt nobody: those are looked for this often. */
const QUIET_SCOPES_MS = 600_000;

/** Workflow jobs whose scopes count as ours, and whose end is asked for when their runner is gone. */
const RECENT = 500;

/**
 * One sweep: compares what GitHub, the providers and the ledger say, and mends. Every deed is done by itself; one that
 * fails is told and never stops the rest. Returns false when another process is at it.
 */
export function createSweep(
  context: WorkerContext,
  options: SweepOptions,
): (signal: AbortSignal) => Promise<boolean> {
  const choose = options.choose ?? createChooser(context.now);
  const chooseUnended = createChooser(context.now);
  return async (signal) => {
    const sweep = (alone: AbortSignal) => sweepOnce(context, { ...options, choose, chooseUnended }, alone);
    return (await doAlone(context.ledger, createLock("sweep"), signal, sweep)) !== ELSEWHERE;
  };
}

interface Tally {
  done: number;
  failed: number;
  readonly byRule: Record<string, number>;
  readonly blind: string[];
}

async function sweepOnce(
  context: WorkerContext,
  options: SweepOptions & { choose: ChooseToCheck; chooseUnended: ChooseToCheck },
  signal: AbortSignal,
): Promise<void> {
  const begun = context.now();
  const tally: Tally = { done: 0, failed: 0, byRule: {}, blind: [] };
  const world = await gatherWorld(context, {
    graceMs: options.graceMs,
    signal,
    recent: await listRecent(context, options.quietScopesMs ?? QUIET_SCOPES_MS),
    chooseToCheck: options.choose,
    chooseUnended: options.chooseUnended,
    onBlind: (what, error) => {
      tally.blind.push(what);
      context.log.warn("sweep.blind", { what, error: messageOf(error) });
    },
  });
  for (const rule of options.rules ?? RULES)
    for (const deed of rule.judge(world)) {
      signal.throwIfAborted();
      await doOne(context, { rule, deed, tally, signal });
    }
  await warnOfBlindness(context, tally.blind);
  const durationMs = context.now() - begun;
  context.metrics.sweepDuration(durationMs);
  if (tally.done + tally.failed + tally.blind.length === 0) return;
  context.log.info("sweep.done", { durationMs, runners: world.runners.length, ...tally });
}

async function doOne(
  context: WorkerContext,
  { rule, deed, tally, signal }: { rule: Rule; deed: Deed; tally: Tally; signal: AbortSignal },
): Promise<void> {
  try {
    await act(context, deed, signal);
    // Nothing was mended, and what is new was told.
    if (deed.kind === "warn") return;
    tally.done += 1;
    tally.byRule[rule.name] = (tally.byRule[rule.name] ?? 0) + 1;
    context.metrics.swept({ rule: rule.name, outcome: "done" });
  } catch (error) {
    tally.failed += 1;
    context.metrics.swept({ rule: rule.name, outcome: "error" });
    context.log.warn("sweep.failed", { rule: rule.name, deed: deed.kind, error: messageOf(error) });
  }
}

/** The workflow jobs of late, now and then; none most of the time. */
async function listRecent(context: WorkerContext, everyMs: number): Promise<readonly WorkflowJobRecord[]> {
  // A lock that nobody gives back: the next owner has it when its time is over.
  if (!(await context.ledger.tryLock("sweep-quiet-scopes", randomUUID(), everyMs))) return [];
  return context.ledger.listWorkflowJobs(RECENT);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
