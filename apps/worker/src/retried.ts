import { type Demand, type ProviderName, ProvisionError } from "@grp/core";
import type { WorkerContext } from "./context.ts";
import { WAITS_FOR_ANSWER, WAITS_FOR_BUDGET, WAITS_FOR_THROTTLE } from "./history.ts";
import { warnOfMachines } from "./warn.ts";

/** By the code of an error that lays a demand aside; the provider follows. All else is the provider's throttle. */
const WAITS: Readonly<Record<string, string>> = { budget: WAITS_FOR_BUDGET, unanswered: WAITS_FOR_ANSWER };

/** About eight minutes after the first try: no hiccup. */
const MANY_TRIES = 10;

interface Retry {
  readonly jobId: string;
  readonly demand?: Demand;
  readonly error: Error;
  readonly attempt: number;
  readonly delayMs: number;
}

/**
 * A try that failed and is made again: a line in the log, and a note that `grp explain` shows; a throttle is no failure,
 * but what the demand waits for. Never rejects; nobody waits for it.
 */
export async function tellRetry(context: WorkerContext, provider: ProviderName, retry: Retry): Promise<void> {
  const { jobId, demand, error, attempt, delayMs } = retry;
  const sorted = error instanceof ProvisionError ? error : undefined;
  const why = {
    errorClass: sorted?.errorClass ?? "bug",
    ...(sorted?.code === undefined ? {} : { code: sorted.code }),
  };
  const runnerClass = demand?.runnerClass;
  context.log.warn("work.retried", {
    ...{ jobId, provider, runnerClass, attempt, delayMs },
    ...{ ...why, error: error.message },
  });
  // Only the end of a machine has no demand.
  if (!demand && attempt >= MANY_TRIES) await warnOfMachines(context, provider, why).catch(() => undefined);
  // A dry run has no record; want of room was noted with the walk.
  if (!demand || demand.dryRun || sorted?.errorClass === "no-capacity") return;
  const text = `try ${attempt}: ${error.message}; again in ${Math.ceil(delayMs / 1_000)} s`;
  const note = { at: context.now(), kind: "retry", text };
  const isThrottled = sorted?.errorClass === "rate-limited";
  const waits = WAITS[sorted?.code ?? ""];
  // Told to a person at leisure: Redis may be away just now, and the try goes on all the same.
  await (isThrottled
    ? context.ledger.setWaitsFor(demand.key, waits ? `${waits} ${provider}` : WAITS_FOR_THROTTLE)
    : context.ledger.addNote(demand.key, note)
  ).catch(() => undefined);
}
