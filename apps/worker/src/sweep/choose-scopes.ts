import { parseScopeKey, type Scope, scopeKey } from "@grp/core";
import type { RunnerRecord, WorkflowJobRecord } from "@grp/ledger";

/**
 * Requests of one round, whatever there is to ask: at a round each 30 s 1,800 an hour, a third of what a token may do.
 * One for each hundred runners of a scope.
 */
const MOST = 15;
const PAGE = 100;

/** Rounds between two questions. Of those that only run workflow jobs deliveries tell; ghosts elsewhere hurt nobody. */
const ROUNDS = { idle: 1, busy: 10, quiet: 20 } as const;

type Need = keyof typeof ROUNDS;

/** What the next round must know, whichever worker makes it. */
export interface ScopeMemory {
  /** By `scopeKey`. */
  readonly asked: Readonly<Record<string, { readonly at: number; readonly requests: number }>>;
  /** Where workflow jobs of ours ran of late, and that are still to be asked; listed anew at times. */
  readonly quiet: readonly string[];
  readonly quietAt?: number;
  /** More requests than a round may make: so many of the next round's. */
  readonly overspent?: number;
}

export const NOTHING_ASKED: ScopeMemory = { asked: {}, quiet: [] };

/** Nobody asks again within a day: as if never asked. */
const KEPT_MS = 24 * 3_600_000;

export interface Times {
  readonly now: number;
  /** From one round to the next. */
  readonly intervalMs: number;
}

/** Whether the scopes where nothing of ours runs are to be listed anew. */
export function isQuietDue({ quietAt }: ScopeMemory, { now, intervalMs }: Times): boolean {
  return quietAt === undefined || now - quietAt >= ROUNDS.quiet * intervalMs;
}

export function listQuiet(
  memory: ScopeMemory,
  recent: readonly WorkflowJobRecord[],
  now: number,
): ScopeMemory {
  const quiet = [...new Set(recent.map(({ demand }) => scopeKey(demand.scope)))];
  return { ...memory, quiet, quietAt: now };
}

/** Each that is new is due now, and waits longer and longer from here on. */
export function noteNew(
  memory: ScopeMemory,
  runners: readonly RunnerRecord[],
  { now, intervalMs }: Times,
): ScopeMemory {
  const fresh = [...findNeeds(memory, runners)].filter(([key]) => memory.asked[key] === undefined);
  const due = fresh.map(([key, need]) => [key, { at: now - ROUNDS[need] * intervalMs, requests: 1 }]);
  return { ...memory, asked: { ...memory.asked, ...Object.fromEntries(due) } };
}

/** Where runners of ours may be: those longest overdue first, as measured by how often each needs to be asked. */
export function chooseScopes(
  memory: ScopeMemory,
  runners: readonly RunnerRecord[],
  { now, intervalMs }: Times,
): readonly Scope[] {
  const candidates = [...findNeeds(memory, runners)].map(([key, need]) => {
    const { at, requests } = memory.asked[key] ?? { at: 0, requests: 1 };
    return { key, need, requests, overdue: (now - at) / (ROUNDS[need] * intervalMs) };
  });
  // Rounds are never exactly an interval apart.
  const due = candidates.filter(({ overdue }) => overdue >= 0.9).sort(byOverdue);
  const most = MOST - (memory.overspent ?? 0);
  const chosen: Scope[] = [];
  let requests = 0;
  for (const one of due) {
    const scope = parseScopeKey(one.key);
    // One that needs more than all waits its turn, and then has a round and those after it to itself.
    if (!scope || requests >= most || (requests > 0 && requests + one.requests > most)) continue;
    requests += one.requests;
    chosen.push(scope);
  }
  return chosen;
}

function byOverdue(one: { need: Need; overdue: number }, other: { need: Need; overdue: number }): number {
  return other.overdue - one.overdue || ROUNDS[one.need] - ROUNDS[other.need];
}

function findNeeds(memory: ScopeMemory, runners: readonly RunnerRecord[]): ReadonlyMap<string, Need> {
  const needs = new Map<string, Need>(memory.quiet.map((key) => [key, "quiet"]));
  const claimed = runners.filter(({ times }) => times.claimed !== undefined);
  for (const { scope } of claimed) needs.set(scopeKey(scope), "busy");
  for (const { scope, step } of claimed)
    if (step === "claimed" || step === "online") needs.set(scopeKey(scope), "idle");
  return needs;
}

/** `runners`: how many its list has; absent where the question failed. */
export function noteAsked(
  memory: ScopeMemory,
  answers: readonly { readonly key: string; readonly runners?: number }[],
  now: number,
): ScopeMemory {
  const known = Object.entries(memory.asked).filter(([, { at }]) => now - at < KEPT_MS);
  const asked = new Map(known);
  let spent = memory.overspent ?? 0;
  for (const { key, runners = 0 } of answers) {
    const requests = Math.max(1, Math.ceil(runners / PAGE));
    asked.set(key, { at: now, requests });
    spent += requests;
  }
  const keys = new Set(answers.map(({ key }) => key));
  return {
    ...memory,
    asked: Object.fromEntries(asked),
    quiet: memory.quiet.filter((key) => !keys.has(key)),
    overspent: Math.max(0, spent - MOST),
  };
}
