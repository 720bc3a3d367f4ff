import type { WorkerContext } from "../context.ts";
import { createLock, doAlone, ELSEWHERE } from "../exclusive.ts";
import { act } from "./act.ts";
import { createGitHubRound } from "./ask-github.ts";
import { type Blind, GITHUB, isAtGitHub, placeOfRule, warnOfBlindness } from "./blindness.ts";
import { type ChooseToCheck, createChooser } from "./choose-to-check.ts";
import { gatherWorld } from "./gather.ts";
import type { Deed, Rule } from "./rule.ts";
import { RULES } from "./rules/index.ts";
import type { World } from "./world.ts";

export interface SweepOptions {
  readonly graceMs: number;
  /** From one sweep to the next: how often GitHub is asked of what is measured by it. */
  readonly intervalMs?: number;
  readonly rules?: readonly Rule[];
  readonly choose?: ChooseToCheck;
}

const INTERVAL_MS = 30_000;

/**
 * One sweep: compares what GitHub, the providers and the ledger say, and mends. Every deed is done by itself; one that
 * fails, and a rule that throws, is told and never stops the rest. Returns false when another process is at it.
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
}

async function sweepOnce(
  context: WorkerContext,
  options: SweepOptions & { choose: ChooseToCheck; chooseUnended: ChooseToCheck },
  signal: AbortSignal,
): Promise<void> {
  const begun = context.now();
  const tally: Tally = { done: 0, failed: 0, byRule: {} };
  const { graceMs, intervalMs = INTERVAL_MS } = options;
  const round = createGitHubRound(context.github, signal);
  const blind: Blind[] = [];
  const seen: string[] = [];
  const brokenRules: string[] = [];
  const world = await gatherWorld(context, {
    graceMs,
    intervalMs,
    signal,
    round,
    chooseToCheck: options.choose,
    chooseUnended: options.chooseUnended,
    onBlind: (one) => blind.push(one),
    onSeen: (place) => seen.push(place),
  });
  for (const rule of options.rules ?? RULES) {
    const deeds = judge(context, rule, world);
    (deeds ? seen : brokenRules).push(placeOfRule(rule.name));
    for (const deed of deeds ?? []) {
      signal.throwIfAborted();
      await doOne(context, { rule, deed, tally, signal });
    }
  }
  const durationMs = context.now() - begun;
  context.metrics.sweepDuration(durationMs);
  const atGitHub = round.result();
  const broken = brokenRules.map((place) => ({ place, error: undefined }));
  const sight = { blind: [...blind, ...atGitHub.blind, ...broken], seen: [...seen, ...atGitHub.seen] };
  tellBlindness(context, sight.blind);
  await warnOfBlindness(context, { ...sight, durationMs, intervalMs });
  await context.ledger.recordSweep({ at: context.now(), everyMs: durationMs + intervalMs });
  if (tally.done + tally.failed + sight.blind.length === 0) return;
  context.log.info("sweep.done", {
    durationMs,
    runners: world.runners.length,
    ...tally,
    blind: [...new Set(sight.blind.map(({ place }) => place))],
    putOff: atGitHub.later,
  });
}

/** One line for each provider and one for all of GitHub, however many questions failed. */
function tellBlindness(context: WorkerContext, blind: readonly Blind[]): void {
  const failed = blind.filter(({ error }) => error !== undefined);
  const groups = Object.groupBy(failed, ({ place }) => (isAtGitHub(place) ? GITHUB : place));
  for (const [what, group = []] of Object.entries(groups)) {
    const [first] = group;
    context.log.warn("sweep.blind", {
      what,
      questions: group.length,
      first: first?.place,
      error: messageOf(first?.error),
    });
  }
}

/** Undefined when the rule itself throws: a bug, or a record that it does not understand. */
function judge({ metrics, log }: WorkerContext, rule: Rule, world: World): readonly Deed[] | undefined {
  try {
    return rule.judge(world);
  } catch (error) {
    metrics.swept({ rule: rule.name, outcome: "error" });
    const stack = error instanceof Error ? error.stack : undefined;
    log.error("sweep.rule-failed", { rule: rule.name, error: messageOf(error), stack });
    return undefined;
  }
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
