import { warn } from "@grp/ledger";
import type { WorkerContext } from "../context.ts";

/** As a whole; the names of its parts begin so. */
export const GITHUB = "GitHub";
/** It was not asked, for others went first. */
export const GITHUBS_TURN = "GitHub before claims";

export interface Blind {
  /** Where the sweep does not see what is. */
  readonly place: string;
  /** Undefined where nothing failed, for others went first, and where it was told already. */
  readonly error: unknown;
}

export interface Sight {
  readonly blind: readonly Blind[];
  /** Places that answered. What was neither asked nor put off keeps what was noted of it. */
  readonly seen: readonly string[];
  /** How long a round takes, and the time from one's end to the next's begin. */
  readonly durationMs: number;
  readonly intervalMs: number;
}

/** Rounds in a row: one or two are a hiccup, which the next sweep makes good. */
const MANY = 3;
/** Claims go first, also for the rest of GitHub's hour: ten minutes of it are told. */
const MANY_TURNS = 20;
const MARK = "sweep-blind";

/** A warning ends so long after the last round that raised it, or a few rounds later, if they take long. */
const LASTS_MS = 600_000;
const LASTS_ROUNDS = 4;

/** Some scopes are asked each ten or twenty rounds only: what was noted must last until then. */
const KEPT = 3;

/** More of GitHub's places than that have one cause, and are one warning. */
const MOST_PLACES = 3;

interface Noted {
  readonly rounds: number;
  readonly at: number;
}

/** Warns of what could not be asked again and again: what goes wrong there, nobody mends meanwhile. */
export async function warnOfBlindness(context: WorkerContext, sight: Sight): Promise<void> {
  const { ledger, now } = context;
  const ttlMs = Math.max(LASTS_MS, LASTS_ROUNDS * (sight.durationMs + sight.intervalMs));
  const text = await ledger.getMark(MARK);
  const before = text === null ? {} : (JSON.parse(text) as Record<string, Noted>);
  const after = noteDown(before, sight, { at: now(), keepMs: KEPT * ttlMs });
  if (text !== null || after.size > 0)
    await ledger.setMark(MARK, JSON.stringify(Object.fromEntries(after)), KEPT * ttlMs);
  const lasting = [...after].filter(
    ([place, { rounds }]) => rounds >= (place === GITHUBS_TURN ? MANY_TURNS : MANY),
  );
  for (const place of joinPlaces(lasting.map(([one]) => one)))
    await warn(context, { kind: "blind", text: describe(place), ttlMs });
}

function noteDown(
  before: Readonly<Record<string, Noted>>,
  { blind, seen }: Sight,
  { at, keepMs }: { readonly at: number; readonly keepMs: number },
): ReadonlyMap<string, Noted> {
  const known = Object.entries(before).filter(
    // A provider that answers has said itself in which regions it could not look.
    ([place, noted]) => !seen.some((one) => isPartOf(place, one)) && at - noted.at < keepMs,
  );
  const after = new Map(known);
  for (const place of new Set(blind.map((one) => one.place)))
    after.set(place, { rounds: (before[place]?.rounds ?? 0) + 1, at });
  return after;
}

function isPartOf(place: string, whole: string): boolean {
  return place === whole || place.startsWith(`${whole} in `);
}

function joinPlaces(places: readonly string[]): readonly string[] {
  const [atGitHub, others] = [places.filter(isAtGitHub), places.filter((place) => !isAtGitHub(place))];
  return [...others, ...(atGitHub.length > MOST_PLACES ? ["GitHub in many places"] : atGitHub)];
}

export function isAtGitHub(place: string): boolean {
  return place.startsWith(GITHUB);
}

const RULE = "rule ";

/** What a rule that throws does not see. */
export function placeOfRule(name: string): string {
  return `${RULE}${name}`;
}

function describe(place: string): string {
  if (place.startsWith(RULE))
    return `the sweep's ${place} fails, round after round: what it mends elsewhere stays so; see sweep.rule-failed in the worker's log`;
  return `the sweep can't ask ${place}, round after round: what is lost or left over there stays so; see sweep.blind and sweep.done in the worker's log`;
}
