import { NoCapacityError } from "@grp/core";
import type { Note } from "@grp/ledger";
import type { Attempt, ProvisionOutcome } from "./attempt.ts";
import type { WorkerContext } from "./context.ts";
import { handOver } from "./hand-over.ts";
import { teamCapOf } from "./places.ts";
import type { Refusal } from "./share.ts";

/** A team's place is free again after a build; until then another provider is asked now and then. */
const AGAIN_MS = 15 * 60_000;

/** How the last walk along the offerings ended, in a demand's notes: at a full team, or without room anywhere. */
const OVERFLOW = "overflow";
const WALKS = [OVERFLOW, "no-capacity", "no-host"];

/**
 * A full team is no room, where another provider may have some: its offering is next, and the demand is out of the team's
 * line meanwhile, at its turn. Undefined where there is none, or was none a moment ago: then it stands in line.
 */
export async function overflow(
  { ledger, now }: WorkerContext,
  { demand, provider, runnerClass, history }: Attempt,
  { index, why }: { readonly index: number; readonly why: string },
): Promise<Refusal | undefined> {
  const isLast = runnerClass.offerings.slice(index + 1).every((one) => one.provider === provider);
  const walk = lastWalk(history.notes);
  if (isLast || (walk && now() - walk.at < AGAIN_MS)) return undefined;
  const text = `${why}: another provider's offering is tried`;
  await ledger.addNote(demand.key, { at: now(), kind: OVERFLOW, text });
  return { refusal: "no-capacity", error: new NoCapacityError(why, { code: "team-full" }) };
}

/** Of one that overflowed, once there was no room elsewhere either: back to the team's line. */
export async function flowBack(
  context: WorkerContext,
  attempt: Attempt,
): Promise<ProvisionOutcome | undefined> {
  const { runnerClass, provider, history } = attempt;
  if (lastWalk(history.notes)?.kind !== OVERFLOW) return undefined;
  const team = runnerClass.offerings.findIndex((one) => teamCapOf(one) !== undefined);
  if (runnerClass.offerings[team]?.provider === provider) return undefined;
  return team < 0 ? undefined : handOver(context, attempt, team);
}

function lastWalk(notes: readonly Note[]): Note | undefined {
  return notes.findLast(({ kind }) => WALKS.includes(kind));
}
