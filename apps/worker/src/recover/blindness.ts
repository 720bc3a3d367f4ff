import { warn } from "@grp/ledger";
import type { WorkerContext } from "../context.ts";

/** Rounds in a row: one or two are a hiccup, which the next makes good. */
export const MANY = 3;

/** What is told stands until a few rounds have not told it again. */
const [ROUNDS, LEAST_MS, MOST_MS] = [3, 600_000, 24 * 3_600_000];

/** How many rounds in a row each has been blind by now, those of `before` and this one. */
export function countBlindness(
  before: Readonly<Record<string, number>>,
  blind: Iterable<string>,
): Readonly<Record<string, number>> {
  return Object.fromEntries([...new Set(blind)].map((what) => [what, (before[what] ?? 0) + 1]));
}

/** Warns of what nobody else would see: work that is lost meanwhile is not found. `sinceRoundMs`: since the last round. */
export async function warnOfLostWork(
  context: WorkerContext,
  texts: readonly string[],
  sinceRoundMs: number,
): Promise<void> {
  const ttlMs = Math.min(Math.max(ROUNDS * sinceRoundMs, LEAST_MS), MOST_MS);
  for (const text of texts) await warn(context, { kind: "recovery", text, ttlMs });
}
