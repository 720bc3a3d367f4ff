import type { WorkerContext } from "../context.ts";
import { warn } from "../warn.ts";

/** Rounds in a row: one or two are a hiccup, which the next sweep makes good. */
const MANY = 3;
const MARK = "sweep-blind";

/** Until a round in which it could be asked again, or nobody sweeps any more. */
const LASTS_MS = 600_000;

/** Warns of what could not be asked again and again: what goes wrong there, nobody mends meanwhile. */
export async function warnOfBlindness(context: WorkerContext, blind: readonly string[]): Promise<void> {
  const { ledger } = context;
  const text = await ledger.getMark(MARK);
  const before = text === null ? {} : (JSON.parse(text) as Record<string, number>);
  const places = [...new Set(blind.map(placeOf))];
  const rounds = Object.fromEntries(places.map((place) => [place, (before[place] ?? 0) + 1]));
  if (text !== null || places.length > 0) await ledger.setMark(MARK, JSON.stringify(rounds), LASTS_MS);
  for (const [place, count] of Object.entries(rounds))
    if (count >= MANY) await warn(context, { kind: "blind", text: describe(place), ttlMs: LASTS_MS });
}

/** One of many workflow jobs tells of GitHub as a whole. */
function placeOf(what: string): string {
  return what.startsWith("GitHub workflow job ") ? "GitHub's workflow jobs" : what;
}

function describe(place: string): string {
  return `the sweep can't ask ${place}, round after round: what is lost or left over there stays so; see sweep.blind in the worker's log`;
}
