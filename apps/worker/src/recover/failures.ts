import type { FailedDeliveries, HookDelivery } from "@grp/github";
import { KEPT_MS, OVERLAP_MS } from "./reading.ts";

/** A redelivery that has not failed by then was taken: GitHub sends within seconds and waits ten for the answer. */
const SETTLE_MS = 300_000;

/**
 * Pause after a redelivery that failed too: doubled each time, so that a poisonous one costs some 25 calls in all. The
 * first is short: an ingress that was just restarted refuses for some seconds only. Of an ingress that was away it says
 * nothing, so it ends when that is back.
 */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [10_000, 6 * 3_600_000];

/** While the ingress takes nothing and none is due, one is asked for all the same: twelve calls an hour see its return. */
const PROBE_MS = 300_000;

/** Where GitHub itself can't send one again, mostly for want of its own health. */
const LONGEST_REFUSED_MS = 600_000;

/** The ingress read it and wants none of it; any other answer may be a proxy's, of an ingress that is away. */
const REFUSALS: readonly number[] = [400, 413, 415, 422];

/** What is remembered at once: some 300 bytes each, so 3 MB that each round reads and writes. The rest is read later. */
const MOST_OPEN = 10_000;

/** One event that the ingress did not take, from one hook: hooks of a repository and its organization share the guid. */
export interface Failure {
  readonly guid: string;
  readonly hook: string;
  /** Of its last failed attempt: what GitHub is asked to send again. */
  readonly deliveryId: string;
  readonly action: string;
  /** Both by GitHub's clock. */
  readonly firstFailedAt: number;
  readonly lastFailedAt: number;
  readonly tries: number;
  /** Of its last failed attempt. */
  readonly statusCode: number;
  /** When it was last asked for; absent while the last attempt is known to have failed. */
  readonly askedAt?: number;
  readonly dueAt: number;
}

export interface Taken {
  readonly open: readonly Failure[];
  /** Failed for the first time, as far as we know. */
  readonly fresh: number;
  /** Failed again after we had asked for them. */
  readonly again: number;
  /** Some are not remembered, for want of room: the page is to be read again. */
  readonly isCut: boolean;
}

/** Takes in one page of a hook's list, in whichever order the pages come. */
export function takePage(
  before: readonly Failure[],
  { hook, page, now }: { readonly hook: string; readonly page: FailedDeliveries; readonly now: number },
): Taken {
  const open = new Map(before.map((failure) => [nameOf(failure), failure]));
  let again = 0;
  let isCut = false;
  for (const delivery of page.failed.toSorted((one, other) => one.deliveredAt - other.deliveredAt)) {
    if (delivery.event !== "workflow_job") continue;
    const name = nameOf({ hook, guid: delivery.guid });
    const known = open.get(name);
    if (!known && open.size >= MOST_OPEN) {
      isCut = true;
      continue;
    }
    const next = known ? failAgain(known, delivery) : firstFailure(hook, delivery, now);
    if (known?.askedAt !== undefined && next.askedAt === undefined) again += 1;
    open.set(name, next);
  }
  return { open: [...open.values()], fresh: open.size - before.length, again, isCut };
}

/** Those of the hook that were asked for long enough ago, and of which every later failure would have been read. */
export function isRecovered(
  { hook, askedAt }: Failure,
  { of, unreadBelow, now }: { readonly of: string; readonly unreadBelow: number; readonly now: number },
): boolean {
  if (hook !== of || askedAt === undefined) return false;
  return now - askedAt > SETTLE_MS && askedAt - OVERLAP_MS > unreadBelow;
}

/** Never taken in three days: GitHub has forgotten it. */
export function isExpired({ firstFailedAt }: Failure, now: number): boolean {
  return now - firstFailedAt > KEPT_MS;
}

function firstFailure(hook: string, delivery: HookDelivery, now: number): Failure {
  const { guid, id, action, deliveredAt, statusCode } = delivery;
  return {
    guid,
    hook,
    deliveryId: id,
    action: action ?? "",
    firstFailedAt: deliveredAt,
    lastFailedAt: deliveredAt,
    tries: 0,
    statusCode,
    dueAt: now,
  };
}

/** The same attempt read once more changes nothing; nor does one that failed before we asked. */
function failAgain(known: Failure, delivery: HookDelivery): Failure {
  const { id, deliveredAt, statusCode } = delivery;
  if (!isLater(delivery, known))
    return deliveredAt < known.firstFailedAt ? { ...known, firstFailedAt: deliveredAt } : known;
  const { askedAt = deliveredAt, ...rest } = known;
  const dueAt = askedAt + pauseAfter(known.tries);
  return { ...rest, deliveryId: id, lastFailedAt: deliveredAt, statusCode, dueAt };
}

/** GitHub's times are whole seconds; its numbers rise. */
function isLater({ id, deliveredAt }: HookDelivery, known: Failure): boolean {
  if (deliveredAt !== known.lastFailedAt) return deliveredAt > known.lastFailedAt;
  return BigInt(id) > BigInt(known.deliveryId);
}

function pauseAfter(tries: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.max(tries - 1, 0), LONGEST_PAUSE_MS);
}

/** Who waits for a machine comes first; then the oldest. */
export function chooseDue(open: readonly Failure[], now: number): readonly Failure[] {
  const rank = ({ action }: Failure) => (action === "queued" ? 0 : 1);
  return open
    .filter(({ askedAt, dueAt }) => askedAt === undefined && dueAt <= now)
    .toSorted((one, other) => rank(one) - rank(other) || one.firstFailedAt - other.firstFailedAt);
}

/** What shows whether the ingress is back, when none is due: the least tried first, so that each has its turn. */
export function chooseProbe(
  open: readonly Failure[],
  { lastAskedAt, now }: { readonly lastAskedAt: number; readonly now: number },
): readonly Failure[] {
  if (now - lastAskedAt < PROBE_MS) return [];
  return open
    .filter(({ askedAt, statusCode }) => askedAt === undefined && !REFUSALS.includes(statusCode))
    .toSorted((one, other) => one.tries - other.tries || one.dueAt - other.dueAt)
    .slice(0, 1);
}

/** The ingress is back: all that it did not take is due, as if it had failed for the first time. */
export function makeDue(open: readonly Failure[], now: number): readonly Failure[] {
  return open.map((one) => (one.askedAt === undefined ? { ...one, tries: 0, dueAt: now } : one));
}

/** How many of the hook's were asked for since its list was last read, and are not in it by now. */
export function countHolding(open: readonly Failure[], hook: string, lastReadAt: number): number {
  return open.filter(({ hook: of, askedAt }) => of === hook && askedAt !== undefined && askedAt >= lastReadAt)
    .length;
}

/** What tells one failure from another. */
export function nameOf({ hook, guid }: Pick<Failure, "hook" | "guid">): string {
  return `${hook}|${guid}`;
}

/** What GitHub said to each wish, by `nameOf`; who is not in it was not asked for. */
export type Answers = ReadonlyMap<string, "taken" | "refused">;

/** After GitHub was asked at `now`. What it refused comes again, as if it had failed once more. */
export function markAsked(open: readonly Failure[], answers: Answers, now: number): readonly Failure[] {
  return open.map((failure): Failure => {
    const answer = answers.get(nameOf(failure));
    if (answer === undefined) return failure;
    const tries = failure.tries + 1;
    return answer === "taken"
      ? { ...failure, tries, askedAt: now }
      : { ...failure, tries, dueAt: now + Math.min(pauseAfter(tries), LONGEST_REFUSED_MS) };
  });
}

export function countTaken(answers: Answers): number {
  return [...answers.values()].filter((answer) => answer === "taken").length;
}
