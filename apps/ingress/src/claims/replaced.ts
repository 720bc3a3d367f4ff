import { InvalidSpecError, parseDemandJobId, UnauthorizedError } from "@grp/core";
import type { GitHubWorkflowJob } from "@grp/github";
import type { RunnerRecord, WorkflowJobRecord } from "@grp/ledger";
import type { IngressContext } from "../context.ts";

/**
 * Of a machine that was started in another's place: whether the workflow job began on the first one after all, and no
 * delivery said so. Then the ledger is told, and may want this machine no more. The sweep asks too before it has one
 * started, but starts it all the same when GitHub can't say; no registration is minted before GitHub has.
 */
export async function hasBegunUnheard(
  { github, ledger, now }: IngressContext,
  { placeHolder }: RunnerRecord,
  record: WorkflowJobRecord,
  signal: AbortSignal,
): Promise<boolean> {
  const isReplacement = parseDemandJobId(placeHolder).generation > 1;
  if (!isReplacement || record.workflowJobState !== "queued") return false;
  const job = await github.getWorkflowJob(record.demand, signal).catch(toUnknown);
  if (job?.status !== "in_progress" && job?.status !== "completed") return false;
  const { workflowJobId } = record.demand;
  const update = { workflowJobId, at: now(), ...(job.runnerName ? { runnerName: job.runnerName } : {}) };
  if (job.status === "in_progress") await ledger.recordInProgress(update);
  else await ledger.recordCompleted({ ...update, conclusion: job.conclusion ?? "unknown" });
  return true;
}

/** Credentials that may not read workflow jobs will never say: the counts are believed. All else passes. */
function toUnknown(error: unknown): GitHubWorkflowJob | null {
  if (error instanceof UnauthorizedError || error instanceof InvalidSpecError) return null;
  throw error;
}
