import type { ProviderName } from "@grp/core";
import type { LaunchRecord } from "@grp/ledger";
import type { Attempt, ProvisionOutcome } from "./attempt.ts";
import type { WorkerContext } from "./context.ts";
import { releasePlace } from "./places.ts";

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
  await releasePlace(context, attempt.holder, { comesBack: true });
  return moveTo(context, attempt, { offeringIndex, provider: to });
}

/** To the queue of a provider that may have started a machine for it: which has its places, so they are kept. */
export function moveUnfinished(
  context: WorkerContext,
  attempt: Attempt,
  launch: LaunchRecord,
): Promise<ProvisionOutcome> {
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
