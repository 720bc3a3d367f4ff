import {
  type Demand,
  demandKey,
  dryRunKey,
  type IgnoreReason,
  type MatchVerdict,
  matchRunnerClass,
  queueRankOf,
} from "@grp/core";
import type { DeliveryAnswer, IngressContext } from "../context.ts";
import { queuedTimeOf, type WorkflowJobDelivery } from "./delivery.ts";
import { enqueue, planOnly } from "./enqueue.ts";
import { recordUpdate } from "./record-update.ts";

export interface DeliveryOrigin {
  readonly deliveryId: string;
  readonly isDryRun: boolean;
}

/** Matches the job, and turns `queued` into demand; `in_progress` and `completed` reach the ledger; all else is ignored. */
export async function recordWorkflowJob(
  context: IngressContext,
  delivery: WorkflowJobDelivery,
  origin: DeliveryOrigin,
): Promise<DeliveryAnswer> {
  const { action, workflow_job: workflowJob, repository } = delivery;
  const match = matchRunnerClass(context.catalog, {
    owner: repository.owner.login,
    repository: repository.name,
    isPrivate: repository.private,
    labels: workflowJob.labels,
  });
  const demand = match.matched ? composeDemand(context, delivery, match, origin) : undefined;
  const answer = await dispatch(context, { action, delivery, match, demand, isDryRun: origin.isDryRun });
  const fields = {
    action,
    workflowJobId: workflowJob.id,
    runId: workflowJob.run_id,
    repository: `${repository.owner.login}/${repository.name}`,
    labels: workflowJob.labels,
    ...(demand ? { key: demand.key, runnerClass: demand.runnerClass } : {}),
    ...(workflowJob.runner_name ? { runnerName: workflowJob.runner_name } : {}),
  };
  return { ...answer, fields: { ...fields, ...answer.fields } };
}

interface Dispatch {
  readonly action: string;
  readonly delivery: WorkflowJobDelivery;
  readonly match: MatchVerdict;
  readonly demand: Demand | undefined;
  readonly isDryRun: boolean;
}

/** By the action, not the job's status: GitHub's own examples have a `queued` delivery whose job says `waiting`. */
function dispatch(context: IngressContext, order: Dispatch): Promise<DeliveryAnswer> | DeliveryAnswer {
  switch (order.action) {
    case "queued":
      return takeIn(context, order);
    case "in_progress":
    case "completed":
      return follow(context, order);
    case "waiting":
      return ignoredAction("waiting", order.action);
    default:
      return ignoredAction("action", order.action);
  }
}

function takeIn(context: IngressContext, { delivery, match, demand, isDryRun }: Dispatch) {
  if (!match.matched || !demand) {
    if (!match.matched && !isDryRun) rememberIgnored(context, delivery, match.reason);
    return ignored(match, delivery);
  }
  return (demand.dryRun ? planOnly : enqueue)(context, demand, match.runnerClass);
}

/** For `grp explain`. Nobody waits for it, and nothing is lost that GitHub would not say again. */
function rememberIgnored(
  { ledger, now }: IngressContext,
  { workflow_job: { id: workflowJobId, labels }, repository }: WorkflowJobDelivery,
  reason: IgnoreReason,
): void {
  const where = { owner: repository.owner.login, repository: repository.name };
  ledger.recordIgnored({ workflowJobId, ...where, labels, reason, at: now() }).catch(() => undefined);
}

function follow(context: IngressContext, { action, delivery, match, demand }: Dispatch) {
  if (demand?.dryRun) return ignoredAction("dry-run", action);
  if (!demand && !mayBeOurs(context, delivery)) return ignored(match, delivery);
  return recordUpdate(context, delivery, demand);
}

function ignoredAction(reason: string, action: string): DeliveryAnswer {
  return { status: 200, body: { outcome: "ignored", reason, action } };
}

/** A job that ran on a runner of ours, or one whose labels GitHub left out (as it does for skipped jobs). */
function mayBeOurs(
  context: IngressContext,
  { workflow_job: { labels, runner_name: name } }: WorkflowJobDelivery,
): boolean {
  return labels.length === 0 || name?.startsWith(`${context.installation}-`) === true;
}

function ignored(
  match: MatchVerdict,
  { workflow_job: { labels }, repository }: WorkflowJobDelivery,
): DeliveryAnswer {
  const reason = match.matched ? "unknown" : match.reason;
  const where = `${repository.owner.login}/${repository.name}`;
  return { status: 200, body: { outcome: "ignored", reason, labels, repository: where } };
}

function composeDemand(
  context: IngressContext,
  delivery: WorkflowJobDelivery,
  match: MatchVerdict & { matched: true },
  { deliveryId, isDryRun }: DeliveryOrigin,
): Demand {
  const { workflow_job: workflowJob, repository } = delivery;
  const receivedAt = context.now();
  return {
    version: 1,
    key: isDryRun ? dryRunKey(deliveryId) : demandKey(workflowJob.id),
    workflowJobId: workflowJob.id,
    runId: workflowJob.run_id,
    runAttempt: workflowJob.run_attempt,
    owner: repository.owner.login,
    repository: repository.name,
    scope: match.scope,
    runnerClass: match.runnerClass.name,
    labels: workflowJob.labels,
    generation: 1,
    ...queueRankOf(context.catalog, match.runnerClass),
    offeringIndex: 0,
    queuedAt: queuedTimeOf(delivery, receivedAt),
    receivedAt,
    deliveryId,
    dryRun: isDryRun,
  };
}
