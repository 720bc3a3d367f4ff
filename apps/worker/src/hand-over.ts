import type { ProviderName } from "@grp/core";
import type { Attempt, ProvisionOutcome } from "./attempt.ts";
import type { WorkerContext } from "./context.ts";
import { releasePlace } from "./places.ts";

/**
 * Moves the demand to the queue of the provider whose offering is next. Its places are given back before: the other
 * queue's worker takes its own under the same holder, and finds its turn as it was.
 */
export async function handOver(
  context: WorkerContext,
  { demand, holder, runnerClass }: Attempt,
  offeringIndex: number,
): Promise<ProvisionOutcome> {
  const to = runnerClass.offerings[offeringIndex]?.provider as ProviderName;
  await releasePlace(context, holder, { comesBack: true });
  // It may have been there before, and finished: `retry` runs it again, and enqueues it when it is new.
  await context.producer.retry({ ...demand, offeringIndex }, to);
  return { kind: "handed-over", fields: { to, offeringIndex } };
}
