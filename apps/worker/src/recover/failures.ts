import type { HookDelivery } from "@grp/github";

/** GitHub keeps deliveries for three days; older ones can't be sent again. */
export const KEPT_MS = 3 * 24 * 3_600_000;

/** Read again each time: GitHub's list may be that far behind, and its clock apart from ours. */
const OVERLAP_MS = 120_000;

/** A redelivery that has not failed by then was taken: GitHub sends within seconds and waits ten for the answer. */
const SETTLE_MS = 300_000;

/**
 * Pause after a redelivery that failed too: doubled each time, so that a poisonous one costs some 25 calls in all. The
 * first is short: an ingress that was just restarted refuses for some seconds only.
 */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [10_000, 6 * 3_600_000];

/** What is remembered at once: 2 MB at the very most. What is beyond is read again later. */
const MOST_OPEN = 20_000;

/** One event that the ingress did not take, from one hook: hooks of a repository and its organization share the guid. */
export interface Failure {
  readonly guid: string;
  readonly hook: string;
  /** Of its last failed attempt: what GitHub is asked to send again. */
  readonly deliveryId: string;
  readonly action: string;
  readonly firstFailedAt: number;
  readonly lastFailedAt: number;
  readonly tries: number;
  /** When it was last asked for; absent while the last attempt is known to have failed. */
  readonly askedAt?: number;
  readonly dueAt: number;
}

/** What one round leaves for the next, whichever worker makes it. */
export interface RecoveryState {
  /** By hook: everything up to then was read. */
  readonly readUntil: Readonly<Record<string, number>>;
  readonly open: readonly Failure[];
  /** Redelivered by the last round. */
  readonly lastAsked: number;
}

export const NOTHING_YET: RecoveryState = { readUntil: {}, open: [], lastAsked: 0 };

export interface Reading {
  readonly state: RecoveryState;
  /** Failed for the first time, as far as we know. */
  readonly fresh: number;
  /** Failed again after we had asked for them. */
  readonly again: number;
  readonly recovered: number;
  /** Never taken in three days: GitHub has forgotten them. */
  readonly expired: number;
}

/** From when on a hook's failures must be read. */
export function readFrom(state: RecoveryState, hook: string, now: number): number {
  return Math.max((state.readUntil[hook] ?? 0) - OVERLAP_MS, now - KEPT_MS);
}

/** Takes in what a hook's list says at `now`, and lets go of what has been settled by it. */
export function readFailures(
  state: RecoveryState,
  hook: string,
  deliveries: readonly HookDelivery[],
  now: number,
): Reading {
  const open = new Map(state.open.map((failure) => [nameOf(failure), failure]));
  const before = open.size;
  let again = 0;
  let until = now;
  for (const delivery of deliveries.toSorted((one, other) => one.deliveredAt - other.deliveredAt)) {
    if (delivery.event !== "workflow_job") continue;
    const name = nameOf({ hook, guid: delivery.guid });
    const known = open.get(name);
    if (!known && open.size >= MOST_OPEN) {
      until = Math.min(until, delivery.deliveredAt);
      continue;
    }
    const next = known ? failAgain(known, delivery) : firstFailure(hook, delivery);
    if (known?.askedAt !== undefined && next.askedAt === undefined) again += 1;
    open.set(name, next);
  }
  const fresh = open.size - before;
  const isMine = (failure: Failure) => failure.hook === hook;
  const recovered = dropWhere(
    open,
    (one) => isMine(one) && one.askedAt !== undefined && now - one.askedAt > SETTLE_MS,
  );
  const expired = dropWhere(open, (one) => now - one.firstFailedAt > KEPT_MS);
  const next = { ...state, readUntil: { ...state.readUntil, [hook]: until }, open: [...open.values()] };
  return { state: next, fresh, again, recovered, expired };
}

function firstFailure(hook: string, { guid, id, action, deliveredAt }: HookDelivery): Failure {
  return {
    guid,
    hook,
    deliveryId: id,
    action: action ?? "",
    firstFailedAt: deliveredAt,
    lastFailedAt: deliveredAt,
    tries: 0,
    dueAt: deliveredAt,
  };
}

/** The same attempt read once more changes nothing; nor does one that failed before we asked. */
function failAgain(known: Failure, delivery: HookDelivery): Failure {
  const { id, deliveredAt } = delivery;
  if (!isLater(delivery, known)) return known;
  const { askedAt = deliveredAt, ...rest } = known;
  return { ...rest, deliveryId: id, lastFailedAt: deliveredAt, dueAt: askedAt + pauseAfter(known.tries) };
}

/** GitHub's times are whole seconds; its numbers rise. */
function isLater({ id, deliveredAt }: HookDelivery, known: Failure): boolean {
  if (deliveredAt !== known.lastFailedAt) return deliveredAt > known.lastFailedAt;
  return BigInt(id) > BigInt(known.deliveryId);
}

function pauseAfter(tries: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.max(tries - 1, 0), LONGEST_PAUSE_MS);
}

function dropWhere(open: Map<string, Failure>, isOver: (failure: Failure) => boolean): number {
  const over = [...open.values()].filter(isOver);
  for (const failure of over) open.delete(nameOf(failure));
  return over.length;
}

/** Who waits for a machine comes first; then the oldest. */
export function chooseDue(state: RecoveryState, now: number): readonly Failure[] {
  const rank = ({ action }: Failure) => (action === "queued" ? 0 : 1);
  return state.open
    .filter(({ askedAt, dueAt }) => askedAt === undefined && dueAt <= now)
    .toSorted((one, other) => rank(one) - rank(other) || one.firstFailedAt - other.firstFailedAt);
}

/** What tells one failure from another. */
export function nameOf({ hook, guid }: Pick<Failure, "hook" | "guid">): string {
  return `${hook}|${guid}`;
}

/** What GitHub said to each wish, by `nameOf`; who is not in it was not asked for. */
export type Answers = ReadonlyMap<string, "taken" | "refused">;

/** The state after GitHub was asked at `now`. What it refused comes again, as if it had failed once more. */
export function markAsked(state: RecoveryState, answers: Answers, now: number): RecoveryState {
  const open = state.open.map((failure): Failure => {
    const answer = answers.get(nameOf(failure));
    if (answer === undefined) return failure;
    const tries = failure.tries + 1;
    return answer === "taken"
      ? { ...failure, tries, askedAt: now }
      : { ...failure, tries, dueAt: now + pauseAfter(tries) };
  });
  return { ...state, open, lastAsked: countTaken(answers) };
}

export function countTaken(answers: Answers): number {
  return [...answers.values()].filter((answer) => answer === "taken").length;
}
