import { type Demand, type ProviderName, ProvisionError } from "@grp/core";
import type { WorkerContext } from "./context.ts";

interface Retry {
  readonly jobId: string;
  readonly demand?: Demand;
  readonly error: Error;
  readonly attempt: number;
  readonly delayMs: number;
}

/** A try that failed and is made again: a line in the log, and a note that `grp explain` shows. Nobody waits for it. */
export function tellRetry(context: WorkerContext, provider: ProviderName, retry: Retry): void {
  const { jobId, demand, error, attempt, delayMs } = retry;
  const sorted = error instanceof ProvisionError ? error : undefined;
  context.log.warn("work.retried", {
    jobId,
    provider,
    runnerClass: demand?.runnerClass,
    attempt,
    delayMs,
    errorClass: sorted?.errorClass ?? "bug",
    code: sorted?.code,
    error: error.message,
  });
  // A dry run has no record; want of room was noted with the walk; a throttle is the queue's, and told there.
  const isNoted = sorted?.errorClass === "no-capacity" || sorted?.errorClass === "rate-limited";
  if (!demand || demand.dryRun || isNoted) return;
  const text = `try ${attempt}: ${error.message}; again in ${Math.ceil(delayMs / 1_000)} s`;
  context.ledger.addNote(demand.key, { at: context.now(), kind: "retry", text }).catch(() => undefined);
}
