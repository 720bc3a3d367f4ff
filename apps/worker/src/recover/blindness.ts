import { warn } from "@grp/ledger";
import type { WorkerContext } from "../context.ts";
import { isInLine } from "../in-line.ts";

/** Rounds in a row: one or two are a hiccup, which the next makes good. */
export const MANY = 3;

/** What is told stands until a few rounds have not told it again. */
const [ROUNDS, LEAST_MS, MOST_MS] = [3, 600_000, 24 * 3_600_000];

/** Claims go first, in a burst for some minutes: that is told when it lasts. */
const MANY_TURNS = 10;
const AFTER_CLAIMS = ", for claims go first";

/** What can't be seen, by whose limits it is asked; why GitHub was not asked is part of it. */
export function nameBlind(who: string, error: unknown): string {
  return isInLine(error) ? `${who}${AFTER_CLAIMS}` : who;
}

/** Those that have been blind for too many rounds in a row. */
export function listLasting(blind: Readonly<Record<string, number>>): readonly string[] {
  return Object.keys(blind).filter(
    (what) => (blind[what] ?? 0) >= (what.endsWith(AFTER_CLAIMS) ? MANY_TURNS : MANY),
  );
}

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
