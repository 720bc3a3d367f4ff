import type { Attempt, ProvisionOutcome } from "./attempt.ts";
import type { WorkerContext } from "./context.ts";
import { releasePlace } from "./places.ts";

/** Enough machines are there or on their way: nothing is started, and its turn in the line is given up. */
export async function skip(
  context: WorkerContext,
  { holder, demand }: Attempt,
  why: string,
): Promise<ProvisionOutcome> {
  await releasePlace(context, holder);
  await context.ledger.setWaitsFor(demand.key, null);
  return { kind: "skipped", fields: { why } };
}
