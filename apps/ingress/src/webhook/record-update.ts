import { type Demand, demandJobId } from "@grp/core";
import type { WorkflowJobRecord, WorkflowJobUpdate } from "@grp/ledger";
import type { DeliveryAnswer, IngressContext } from "../context.ts";
import { endMachine } from "../end-machine.ts";
import type { WorkflowJobDelivery } from "./delivery.ts";
import { withdraw } from "./withdraw.ts";

/** `in_progress` or `completed`: which runner took the job is learned here and nowhere else. */
export async function recordUpdate(
  context: IngressContext,
  delivery: WorkflowJobDelivery,
  demand: Demand | undefined,
): Promise<DeliveryAnswer> {
  const update = composeUpdate(context, delivery, demand);
  if (delivery.action === "in_progress") {
    const change = await context.ledger.recordInProgress(update);
    if (!change.record && !change.runner) return unknown(delivery);
    if (change.runner) observeStart(context, change.record, update.at);
    return recorded(delivery, { ours: change.runner !== undefined });
  }
  const change = await context.ledger.recordCompleted(update);
  if (!change.record && !change.runner) return unknown(delivery);
  // Cancelled before it began.
  if (change.withdrawn && change.record) {
    const { key, demand: asked, launchIds } = change.record;
    await withdraw(context, { jobId: demandJobId(key, asked.generation), launchIds });
  }
  if (change.runner) await endMachine(context, change.runner, { reason: "finished" });
  const { conclusion } = delivery.workflow_job;
  return recorded(delivery, { conclusion, withdrawn: change.withdrawn, ours: change.runner !== undefined });
}

function composeUpdate(
  context: IngressContext,
  { workflow_job: workflowJob, action, repository }: WorkflowJobDelivery,
  demand: Demand | undefined,
): WorkflowJobUpdate {
  const { runner_name: runnerName, runner_id: runnerId, conclusion } = workflowJob;
  return {
    workflowJobId: workflowJob.id,
    in: { owner: repository.owner.login, repository: repository.name },
    at: context.now(),
    ...(runnerName ? { runnerName } : {}),
    ...(runnerId ? { runnerId } : {}),
    ...(action === "completed" && conclusion ? { conclusion } : {}),
    ...(demand ? { demand } : {}),
  };
}

/** Once for each: a delivery that comes again finds the time of the first. */
function observeStart(context: IngressContext, record: WorkflowJobRecord | undefined, at: number): void {
  if (record?.times.inProgress !== at) return;
  const seconds = Math.max(0, at - record.demand.queuedAt) / 1_000;
  context.metrics.queuedToRunningSeconds.observe({ runner_class: record.demand.runnerClass }, seconds);
}

function recorded({ action }: WorkflowJobDelivery, fields: Record<string, unknown>): DeliveryAnswer {
  return { status: 200, body: { outcome: "recorded", action }, fields };
}

function unknown({ action }: WorkflowJobDelivery): DeliveryAnswer {
  return { status: 200, body: { outcome: "ignored", reason: "unknown-workflow-job", action } };
}
