import type { ProviderName } from "@grp/core";
import type { LaunchRecord } from "@grp/ledger";
import type { Attempt, ProvisionOutcome } from "./attempt.ts";
import type { WorkerContext } from "./context.ts";
import { releasePlace } from "./places.ts";

/** A worker of the other queue has the demand in hand, and its places: it is done with it in seconds. */
const IN_HAND_DELAY_MS = 2_000;

/**
 * Moves the demand to the queue of the provider whose offering is next. Its places are given back before: the other
 * queue's worker takes its own under the same holder, and finds its turn as it was.
 */
export async function handOver(
  context: WorkerContext,
  attempt: Attempt,
  offeringIndex: number,
): Promise<ProvisionOutcome> {
  const to = attempt.runnerClass.offerings[offeringIndex]?.provider as ProviderName;
  if (await context.producer.isInHand(to, attempt.holder)) return waitForHand(to);
  await releasePlace(context, attempt.holder, { comesBack: true });
  return moveTo(context, attempt, { offeringIndex, provider: to });
}

/** To the queue of a provider that may have started a machine for it: which has its places, so they are kept. */
export async function moveUnfinished(
  context: WorkerContext,
  attempt: Attempt,
  launch: LaunchRecord,
): Promise<ProvisionOutcome> {
  if (await context.producer.isInHand(launch.provider, attempt.holder)) return waitForHand(launch.provider);
  return moveTo(context, attempt, launch);
}

async function moveTo(
  context: WorkerContext,
  { demand }: Attempt,
  { offeringIndex, provider: to }: Pick<LaunchRecord, "offeringIndex" | "provider">,
): Promise<ProvisionOutcome> {
  // It may have been there before, and finished: `retry` runs it again, and enqueues it when it is new.
  await context.producer.retry({ ...demand, offeringIndex }, to);
  return { kind: "handed-over", fields: { to, offeringIndex } };
}

function waitForHand(provider: ProviderName): ProvisionOutcome {
  return { kind: "waiting", why: `a worker of ${provider} has it in hand`, delayMs: IN_HAND_DELAY_MS };
}
