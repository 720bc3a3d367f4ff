import { NoCapacityError, type Offering, offeringDigest, type RunnerClass, rankOf } from "@grp/core";
import type { LaunchRecord } from "@grp/ledger";
import type { Attempt, ProvisionOutcome } from "./attempt.ts";
import type { WorkerContext } from "./context.ts";
import { doAlone, ELSEWHERE } from "./exclusive.ts";
import { handOver } from "./hand-over.ts";
import { readHistory, WAITS_FOR_CAPACITY, WAITS_FOR_HOST } from "./history.ts";
import { lockOf } from "./launch.ts";
import { launchTogether, resumeTogether } from "./launch-together.ts";
import { flowBack, overflow } from "./overflow.ts";
import { capsOf, flowOf, placeTtlMs, releasePlace, teamCapOf } from "./places.ts";
import { firstOffering } from "./setbacks.ts";
import { isRefusal, type Refusal, type Share } from "./share.ts";
import { skipCovered } from "./skip.ts";

/** A place that becomes free wakes the first in line. Should that be lost, those in front ask again soon. */
const [FRONT_DELAY_MS, LINE_DELAY_MS, FRONT] = [5_000, 30_000, 3];

/** Another process is calling the provider for it: about as long as that takes. */
const ELSEWHERE_DELAY_MS = 2_000;

/** A hand-over begins to count attempts anew: after so many rounds it stays in one queue, where they run out. */
const MAX_ROUNDS = 10;

type Step = ProvisionOutcome | Refusal;

/**
 * Goes on with a launch that may have started a machine: the same id, and another offering only once it is refused.
 * `answered`: it is open no longer, so its history is to be read again.
 */
export async function resumeLaunch(
  context: WorkerContext,
  attempt: Attempt,
  launch: LaunchRecord,
): Promise<ProvisionOutcome | "answered"> {
  const index = findOffering(attempt.runnerClass, launch);
  const offering = attempt.runnerClass.offerings[index];
  if (!offering) return abandonLaunch(context, attempt, launch);
  const share = await resumeTogether(context, attempt, { launch, offering });
  if (isRefusal(share)) {
    const next = share.refusal === "spent" ? index : index + 1;
    return walkOfferings(context, attempt, next, share.error);
  }
  if (share.kind === "answered") return "answered";
  if (share.kind !== "passed-over") return settle(context, attempt, share);
  return walkOfferings(context, await lookAgain(context, attempt), index);
}

/** Where the launch's offering stands by now, or -1. Of a launch that an earlier version opened, only where it stood is known. */
function findOffering({ offerings }: RunnerClass, launch: LaunchRecord): number {
  const digest = launch.offeringDigest;
  if (digest !== undefined) return offerings.findIndex((one) => offeringDigest(one) === digest);
  return offerings[launch.offeringIndex]?.provider === launch.provider ? launch.offeringIndex : -1;
}

/**
 * The catalog has changed since: a machine that did start is refused at its claim, and ends. A process with the catalog of
 * before may be calling for it at this moment: then it is not over.
 */
async function abandonLaunch(
  context: WorkerContext,
  attempt: Attempt,
  launch: LaunchRecord,
): Promise<ProvisionOutcome> {
  const note = { at: context.now(), kind: "abandoned", text: "its offering left the catalog" };
  const lock = lockOf(launch.launchId);
  const abandoned = await doAlone(context.ledger, lock, attempt.work.signal, () =>
    context.ledger.recordLaunchFailed(launch.launchId, note),
  );
  if (abandoned === ELSEWHERE) return settle(context, attempt, { kind: "busy" });
  const { runnerClass, history } = attempt;
  return walkOfferings(context, attempt, firstOffering(runnerClass, history.notes));
}

/** One offering after the other until one has room; another provider's goes on in that provider's queue. */
export async function walkOfferings(
  context: WorkerContext,
  attempt: Attempt,
  from: number,
  refused?: Error,
): Promise<ProvisionOutcome> {
  const { offerings } = attempt.runnerClass;
  let last = refused;
  for (const [index, offering] of offerings.entries()) {
    if (index < from) continue;
    const isElsewhere = offering.provider !== attempt.provider;
    if (isElsewhere && attempt.history.emptyWalks >= MAX_ROUNDS) continue;
    if (isElsewhere) return handOver(context, attempt, index);
    const step = await tryOffering(context, attempt, { index, offering });
    if (!isRefusal(step)) return step;
    last = chooseTold(last, step.error);
  }
  return giveUp(context, attempt, last);
}

/** One for want of a host is waited for longest, whatever the other offerings lack. */
function chooseTold(last: Error | undefined, next: Error): Error {
  return last && waitsForHost(last) ? last : next;
}

function waitsForHost(error: Error): boolean {
  return error instanceof NoCapacityError && error.waitsForHost;
}

/**
 * No room anywhere. The line moves on, and the next try begins at the first offering again; at once for one that came
 * here because a team is full.
 */
async function giveUp(
  context: WorkerContext,
  attempt: Attempt,
  last: Error | undefined,
): Promise<ProvisionOutcome> {
  const { demand, holder, runnerClass } = attempt;
  const error =
    last ?? new NoCapacityError(`no offering of ${runnerClass.name} is left`, { code: "none-left" });
  const isHost = waitsForHost(error);
  const kind = isHost ? "no-host" : "no-capacity";
  const back = await flowBack(context, attempt);
  if (back?.kind === "waiting") return back;
  await context.ledger.addNote(demand.key, { at: context.now(), kind, text: error.message });
  if (back) return back;
  await context.ledger.setWaitsFor(demand.key, isHost ? WAITS_FOR_HOST : WAITS_FOR_CAPACITY);
  await releasePlace(context, holder, { comesBack: true });
  throw error;
}

async function tryOffering(
  context: WorkerContext,
  attempt: Attempt,
  place: { readonly index: number; readonly offering: Offering },
): Promise<Step> {
  const wait = await takePlace(context, attempt, place);
  if (wait) return wait;
  let share = await launchTogether(context, attempt, place);
  // Others have the machines that there was room for. The offering's other placements may have more; each further round
  // starts at least one machine, or is refused.
  while (!isRefusal(share) && share.kind === "passed-over")
    share = await launchTogether(context, await lookAgain(context, attempt), place);
  return isRefusal(share) ? share : settle(context, attempt, share);
}

async function lookAgain(context: WorkerContext, attempt: Attempt): Promise<Attempt> {
  return { ...attempt, history: await readHistory(context.ledger, attempt.demand) };
}

async function settle(
  context: WorkerContext,
  attempt: Attempt,
  share: Exclude<Share, Refusal>,
): Promise<ProvisionOutcome> {
  if (share.kind === "launched") return share;
  if (share.kind === "covered") return skipCovered(context, attempt);
  return { kind: "waiting", why: "its launch is under way elsewhere", delayMs: ELSEWHERE_DELAY_MS };
}

async function takePlace(
  context: WorkerContext,
  attempt: Attempt,
  { index, offering }: { readonly index: number; readonly offering: Offering },
): Promise<Step | undefined> {
  const { demand, runnerClass, holder, history } = attempt;
  const verdict = await context.ledger.takePlace({
    caps: capsOf(context.catalog, runnerClass, { offering, demand }),
    holder,
    provider: offering.provider,
    flow: flowOf(demand),
    rank: rankOf(runnerClass),
    at: context.now(),
    ttlMs: placeTtlMs(runnerClass),
  });
  if (verdict.granted) return undefined;
  const why = `cap ${verdict.cap} (${verdict.ahead} ahead)`;
  // The team's is the last of the caps: all others have room.
  const isTeamFull = verdict.cap === teamCapOf(offering) && history.emptyWalks < MAX_ROUNDS;
  const full = isTeamFull ? await overflow(context, attempt, { index, why }) : undefined;
  if (full) return full;
  await context.ledger.setWaitsFor(demand.key, why);
  return { kind: "waiting", why, delayMs: verdict.ahead < FRONT ? FRONT_DELAY_MS : LINE_DELAY_MS };
}
