import { randomUUID } from "node:crypto";
import { type Demand, demandJobId, type ProviderName, ProvisionError } from "@grp/core";
import type { DeadWork } from "@grp/queue";
import type { WorkerContext } from "./context.ts";
import { findLive, findUnfinished, readHistory } from "./history.ts";
import { releasePlace } from "./places.ts";
import { warnOfMachines } from "./warn.ts";

/** No machine lives longer, but one that can't be ended. */
const COUNTED_MS = 24 * 3_600_000;

/**
 * The end of a piece of work that failed for good: one dead letter and one metric, however often it is told, and an error
 * line each time, for whoever told it before may have died with that line unwritten. Its places go to the next in line,
 * unless a machine may be running on them: that one the sweep ends.
 */
export async function buryDead(context: WorkerContext, work: DeadWork): Promise<void> {
  if (work.demand && !work.demand.dryRun) return buryDemand(context, work, work.demand);
  const { jobId, provider, attempts, error, termination } = work;
  if (termination) await tellUnended(context, provider, { runnerName: termination.runnerName, error });
  else context.metrics.failed({ runnerClass: work.demand?.runnerClass ?? "unknown", ...sort(error) });
  context.log.error(termination ? "termination.failed" : "work.failed", {
    jobId,
    provider,
    attempts,
    ...termination,
    ...sort(error),
    error: error.message,
  });
}

/** The sweep asks anew for the end of a machine that it still sees, and each time it may fail: one count each. */
async function tellUnended(
  context: WorkerContext,
  provider: ProviderName,
  { runnerName, error }: { readonly runnerName: string; readonly error: Error },
): Promise<void> {
  // A lock that nobody gives back.
  const isFirst = await context.ledger.tryLock(`unended-${runnerName}`, randomUUID(), COUNTED_MS);
  if (isFirst) context.metrics.unended({ provider, ...sort(error) });
  await warnOfMachines(context, provider, sort(error));
}

async function buryDemand(context: WorkerContext, work: DeadWork, demand: Demand): Promise<void> {
  const { error, provider, attempts } = work;
  const failure = { at: context.now(), ...sort(error), message: error.message, demand };
  const isFirst = await context.ledger.recordFailure(demand.key, failure);
  if (isFirst) context.metrics.failed({ runnerClass: demand.runnerClass, ...sort(error) });
  context.log.error("runner.failed", {
    key: demand.key,
    workflowJobId: demand.workflowJobId,
    repository: `${demand.owner}/${demand.repository}`,
    runnerClass: demand.runnerClass,
    provider,
    generation: demand.generation,
    attempts,
    ...sort(error),
    error: error.message,
    // A bug shows where it is; our own classes say it in their message.
    ...(error instanceof ProvisionError ? {} : { stack: error.stack }),
    ...(isFirst ? {} : { isRepeat: true }),
  });
  await freePlaces(context, demand);
}

async function freePlaces(context: WorkerContext, demand: Demand): Promise<void> {
  const history = await readHistory(context.ledger, demand);
  if (findUnfinished(history) || findLive(history)) return;
  await releasePlace(context, demandJobId(demand.key, demand.generation));
}

function sort(error: Error): { errorClass: string; code?: string } {
  if (!(error instanceof ProvisionError)) return { errorClass: "bug" };
  return { errorClass: error.errorClass, ...(error.code === undefined ? {} : { code: error.code }) };
}
