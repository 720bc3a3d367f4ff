import type { Attempt, ProvisionOutcome } from "./attempt.ts";
import type { WorkerContext } from "./context.ts";
import { WAITS_FOR_SIBLING } from "./history.ts";
import { releasePlace } from "./places.ts";

/** Nothing is started for it, and its turn in the line is given up. */
async function skip(
  context: WorkerContext,
  { holder, demand }: Attempt,
  { why, waitsFor }: { readonly why: string; readonly waitsFor: string | null },
): Promise<ProvisionOutcome> {
  await releasePlace(context, holder);
  await context.ledger.setWaitsFor(demand.key, waitsFor);
  return { kind: "skipped", fields: { why } };
}

/** Enough machines are there or on their way. */
export function skipCovered(context: WorkerContext, attempt: Attempt): Promise<ProvisionOutcome> {
  return skip(context, attempt, { why: "covered", waitsFor: WAITS_FOR_SIBLING });
}

/** Its workflow job waits for no machine any more. */
export function skipOver(context: WorkerContext, attempt: Attempt, why: string): Promise<ProvisionOutcome> {
  return skip(context, attempt, { why, waitsFor: null });
}
