import { type Demand, demandJobId, InvalidSpecError, type ProviderName } from "@grp/core";
import type { WorkContext, WorkOutcome } from "@grp/queue";
import type { Attempt, ProvisionOutcome } from "./attempt.ts";
import type { WorkerContext } from "./context.ts";
import { moveUnfinished } from "./hand-over.ts";
import { findLive, findUnfinished, readHistory } from "./history.ts";
import { isOver } from "./late.ts";
import { resumeLaunch, walkOfferings } from "./offerings.ts";
import { planDemand } from "./plan.ts";
import { firstOffering } from "./setbacks.ts";
import { skipCovered, skipOver } from "./skip.ts";

/**
 * From demand to launched. Runners are counted, never paired: it launches if its class and scope still want a machine,
 * whatever became of this one workflow job (a sibling may have taken the runner that was meant for it). Safe to run any
 * number of times: an unfinished launch is found in the ledger and goes on under its own id.
 */
export async function provision(
  context: WorkerContext,
  provider: ProviderName,
  demand: Demand,
  work: WorkContext,
): Promise<WorkOutcome> {
  if (context.dryRun || demand.dryRun) return planDemand(context, demand, work);
  const runnerClass = context.catalog.classes.find((one) => one.name === demand.runnerClass);
  if (!runnerClass) throw new InvalidSpecError(`no runner class "${demand.runnerClass}" in the catalog`);
  const holder = demandJobId(demand.key, demand.generation);
  const history = await readHistory(context.ledger, demand);
  const outcome = await advance(context, { demand, runnerClass, provider, holder, work, history });
  context.metrics.provisioned({ provider, runnerClass: runnerClass.name, outcome: outcome.kind });
  if (outcome.kind === "waiting") return { kind: "wait", delayMs: outcome.delayMs, why: outcome.why };
  const result = { outcome: outcome.kind, ...outcome.fields };
  context.log.info("runner.provisioned", {
    key: demand.key,
    workflowJobId: demand.workflowJobId,
    repository: `${demand.owner}/${demand.repository}`,
    runnerClass: runnerClass.name,
    provider,
    demandState: history.demandState,
    generation: demand.generation,
    attempt: work.attempt,
    sinceQueuedMs: context.now() - demand.queuedAt,
    ...result,
  });
  return { kind: "done", result };
}

async function advance(context: WorkerContext, attempt: Attempt): Promise<ProvisionOutcome> {
  const { history, demand, provider } = attempt;
  // A try that ended after the launch and before its queue job did: what is missing still, the sweep counts.
  const live = findLive(history);
  if (live) {
    const { launch, runner } = live;
    const fields = { launchId: launch.launchId, runnerName: runner?.runnerName, isRepeat: true };
    return { kind: "launched", fields };
  }
  const unfinished = findUnfinished(history);
  if (unfinished && unfinished.provider !== provider) return moveUnfinished(context, attempt, unfinished);
  if (unfinished) {
    const outcome = await resumeLaunch(context, attempt, unfinished);
    if (outcome !== "answered") return outcome;
    return advance(context, { ...attempt, history: await readHistory(context.ledger, demand) });
  }
  if (history.isCovered) return skipCovered(context, attempt);
  const over = await isOver(context, attempt);
  if (over) return skipOver(context, attempt, over);
  const first = firstOffering(attempt.runnerClass, history.notes);
  return walkOfferings(context, attempt, history.lacksCapacity ? first : demand.offeringIndex);
}
