import { type Demand, demandKey, matchRunnerClass, queueRankOf } from "@grp/core";
import type { GitHubWorkflowJob } from "@grp/github";
import type { WorkerContext } from "../context.ts";
import type { Repository } from "./repositories.ts";

/** Takes a queued workflow job in as its delivery would have done; its key, or null when it is known or none of ours. */
export async function takeIn(
  { catalog, ledger, producer, now }: WorkerContext,
  { owner, repository }: Repository,
  job: GitHubWorkflowJob,
): Promise<string | null> {
  const key = demandKey(job.id);
  if (await ledger.getWorkflowJob(key)) return null;
  const labels = [...job.labels];
  // Where GitHub does not say, it counts as public: the stricter of the two.
  const verdict = matchRunnerClass(catalog, { owner, repository, labels, isPrivate: job.isPrivate ?? false });
  if (!verdict.matched) {
    const { reason } = verdict;
    await ledger.recordIgnored({ workflowJobId: job.id, owner, repository, labels, reason, at: now() });
    return null;
  }
  const { runnerClass, scope } = verdict;
  const [offering] = runnerClass.offerings;
  if (!offering) return null;
  const demand: Demand = {
    version: 1,
    key,
    workflowJobId: job.id,
    runId: job.runId,
    runAttempt: job.runAttempt,
    owner,
    repository,
    scope,
    runnerClass: runnerClass.name,
    labels,
    generation: 1,
    ...queueRankOf(catalog, runnerClass),
    offeringIndex: 0,
    queuedAt: job.createdAt,
    receivedAt: now(),
    deliveryId: "unheard",
    dryRun: false,
  };
  await ledger.recordQueued(demand, producer.composeEntry(demand, offering.provider));
  const text = "no delivery came; found among GitHub's queued runs";
  await ledger.addNote(key, { at: now(), kind: "unheard", text });
  return key;
}
