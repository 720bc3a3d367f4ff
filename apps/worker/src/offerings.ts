import { launchId, NoCapacityError, type Offering, runnerName } from "@grp/core";
import type { LaunchRecord } from "@grp/ledger";
import { type Attempt, type ProvisionOutcome, skip } from "./attempt.ts";
import type { WorkerContext } from "./context.ts";
import { handOver } from "./hand-over.ts";
import { countEarlier, WAITS_FOR_CAPACITY } from "./history.ts";
import { callProvider, type Refusal } from "./launch.ts";
import { capsOf, placeTtlMs, releasePlace } from "./places.ts";

/** A machine boots, and may retry its claim, with one ticket; launches are retried for a while before that. */
const TICKET_SLACK_MS = 2 * 3_600_000;

/** A place that becomes free wakes the first in line. Should that be lost, those in front ask again soon. */
const [FRONT_DELAY_MS, LINE_DELAY_MS, FRONT] = [5_000, 30_000, 3];

/** Machines of one launch ended while nobody had heard of them: more than this in one try is no accident. */
const MAX_SPENT = 3;

/** A hand-over begins to count attempts anew: after so many rounds it stays in one queue, where they run out. */
const MAX_ROUNDS = 10;

type Step = ProvisionOutcome | Refusal;

const isRefusal = (step: Step): step is Refusal => "refusal" in step;

/** Goes on with a launch that may have started a machine: the same id, and another offering only once it is refused. */
export async function resumeLaunch(
  context: WorkerContext,
  attempt: Attempt,
  launch: LaunchRecord,
): Promise<ProvisionOutcome> {
  const offering = attempt.runnerClass.offerings[launch.offeringIndex];
  if (offering?.provider !== launch.provider) return abandonLaunch(context, attempt, launch);
  const step = await callProvider(context, attempt, { launch, offering, isNew: false });
  if (!isRefusal(step)) return step;
  const next = step.refusal === "spent" ? launch.offeringIndex : launch.offeringIndex + 1;
  return walkOfferings(context, attempt, next, step.error);
}

/** The catalog has changed since: a machine that did start is refused at its claim, and ends. */
async function abandonLaunch(
  context: WorkerContext,
  attempt: Attempt,
  launch: LaunchRecord,
): Promise<ProvisionOutcome> {
  const note = { at: context.now(), kind: "abandoned", text: "its offering left the catalog" };
  await context.ledger.recordLaunchFailed(launch.launchId, note);
  return walkOfferings(context, attempt, 0);
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
    last = step.error;
  }
  return giveUp(context, attempt, last);
}

/** No room anywhere. The line moves on, and the next try begins at the first offering again. */
async function giveUp(
  context: WorkerContext,
  { demand, holder, runnerClass }: Attempt,
  last: Error | undefined,
): Promise<never> {
  const error =
    last ?? new NoCapacityError(`no offering of ${runnerClass.name} is left`, { code: "none-left" });
  await context.ledger.setWaitsFor(demand.key, WAITS_FOR_CAPACITY);
  await context.ledger.addNote(demand.key, { at: context.now(), kind: "no-capacity", text: error.message });
  await releasePlace(context, holder);
  throw error;
}

async function tryOffering(
  context: WorkerContext,
  attempt: Attempt,
  { index, offering }: { index: number; offering: Offering },
): Promise<Step> {
  const wait = await takePlace(context, attempt, offering);
  if (wait) return wait;
  const earlier = countEarlier(attempt.history, index);
  for (let renewal = earlier; ; renewal++) {
    const opened = await openLaunch(context, attempt, { index, offering, renewal });
    if (!opened) return skip(context, attempt, "covered");
    const step = await callProvider(context, attempt, { ...opened, offering });
    if (!isRefusal(step) || step.refusal !== "spent") return step;
    if (renewal - earlier >= MAX_SPENT) throw step.error;
  }
}

async function takePlace(
  context: WorkerContext,
  { demand, runnerClass, holder }: Attempt,
  offering: Offering,
): Promise<ProvisionOutcome | undefined> {
  const verdict = await context.ledger.takePlace({
    caps: capsOf(context.catalog, runnerClass, offering),
    holder,
    provider: offering.provider,
    order: demand.queuedAt,
    at: context.now(),
    ttlMs: placeTtlMs(runnerClass),
  });
  if (verdict.granted) return undefined;
  const why = `cap ${verdict.cap} (${verdict.ahead} ahead)`;
  await context.ledger.setWaitsFor(demand.key, why);
  return { kind: "waiting", why, delayMs: verdict.ahead < FRONT ? FRONT_DELAY_MS : LINE_DELAY_MS };
}

/** Writes the launch down before any provider is called. Undefined: enough machines are on their way meanwhile. */
async function openLaunch(
  context: WorkerContext,
  { demand, runnerClass, holder }: Attempt,
  { index, offering, renewal }: { index: number; offering: Offering; renewal: number },
): Promise<{ launch: LaunchRecord; isNew: boolean } | undefined> {
  const { generation, key, scope } = demand;
  const identity = { demandKeys: [key], generation, runnerClass: runnerClass.name, renewal };
  const id = launchId({ ...identity, offeringIndex: index });
  const at = context.now();
  const verdict = await context.ledger.openLaunch({
    ...identity,
    launchId: id,
    provider: offering.provider,
    scope,
    offeringIndex: index,
    placeHolders: [holder],
    runnerNames: [runnerName(context.installation, id, 0)],
    ticketExpiresAt: at + runnerClass.bootTimeout + TICKET_SLACK_MS,
    at,
  });
  if (!verdict.opened) return undefined;
  await context.ledger.setWaitsFor(key, null);
  return { launch: verdict.launch, isNew: verdict.isNew };
}
