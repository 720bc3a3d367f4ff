import { InvalidSpecError, parseDemandJobId, type Turn, UnauthorizedError } from "@grp/core";
import type { GitHub, GitHubWorkflowJob } from "@grp/github";
import {
  type RunnerRecord,
  readShown,
  recordBegun,
  runnerNamesFor,
  type WorkflowJobRecord,
} from "@grp/ledger";
import type { IngressContext } from "../context.ts";

/** Workflow jobs that GitHub is asked about for one claim; each that has begun is settled, and the next claim goes on. */
const MOST_ASKED = 5;

/**
 * Whether a machine that was started in another's place may be registered; always, when it is the first for its demand.
 * The sweep asks GitHub too before it has one started, but starts it all the same when GitHub can't say; here GitHub has
 * said that a workflow job of its pool waits, its own or, when that is served, another, and the earlier registrations
 * are off it. False: the ledger knows more now, and may want this machine no longer. GitHub is asked at the machine's turn
 * only: those behind in the line come back again and again, and would spend what the registrations need.
 */
export async function mayReplace(
  context: IngressContext,
  runner: RunnerRecord,
  record: WorkflowJobRecord,
  { turn, signal }: { readonly turn: Turn; readonly signal: AbortSignal },
): Promise<boolean> {
  if (parseDemandJobId(runner.placeHolder).generation === 1) return true;
  let hasNews = false;
  for (const waiting of await listWaiting(context, record)) {
    if (!(await hasBegunUnheard(context, { ...waiting.demand, turn }, signal))) break;
    hasNews = true;
  }
  if (hasNews) return false;
  await takeOffEarlier(context, runner, record, signal);
  return true;
}

/** By the ledger; its own first. */
async function listWaiting(
  { ledger }: IngressContext,
  record: WorkflowJobRecord,
): Promise<readonly WorkflowJobRecord[]> {
  if (record.workflowJobState === "queued" && record.demandState === "waiting") return [record];
  return ledger.listOpenDemands(MOST_ASKED, record.demand);
}

async function hasBegunUnheard(
  { github, ledger, now }: IngressContext,
  asked: Parameters<GitHub["getWorkflowJob"]>[0],
  signal: AbortSignal,
): Promise<boolean> {
  const job = await github.getWorkflowJob(asked, signal).catch(toUnknown);
  const begun = job ? readShown(asked.workflowJobId, job, now()) : undefined;
  if (begun) await recordBegun(ledger, begun);
  return begun !== undefined;
}

/** Credentials that may not read workflow jobs will never say: the counts are believed. All else passes. */
function toUnknown(error: unknown): GitHubWorkflowJob | null {
  if (error instanceof UnauthorizedError || error instanceof InvalidSpecError) return null;
  throw error;
}

/**
 * Of machines that were given up, for GitHub did not see them or their provider lost them: none may turn up and be a
 * second runner for the same demand. One that is busy after all runs another workflow job.
 */
async function takeOffEarlier(
  { github, ledger }: IngressContext,
  { runnerName }: RunnerRecord,
  { key, launchIds }: WorkflowJobRecord,
  signal: AbortSignal,
): Promise<void> {
  const launches = await Promise.all(launchIds.map((id) => ledger.getLaunch(id)));
  const names = launches.flatMap((launch) => (launch ? runnerNamesFor(launch, key) : []));
  const runners = await Promise.all(names.map((name) => ledger.getRunner(name)));
  for (const earlier of runners) {
    if (!earlier || earlier.runnerName === runnerName || earlier.workflowJobKey !== undefined) continue;
    if (earlier.step === "finished" && earlier.runnerId !== undefined)
      await github.deregister(earlier.scope, earlier.runnerId, signal);
  }
}
