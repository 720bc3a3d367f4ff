import type { Ledger, WorkflowJobUpdate } from "./types.ts";

/** A workflow job as GitHub shows it to who asks. */
interface ShownWorkflowJob {
  readonly status: string;
  readonly conclusion: string | null;
  readonly runnerName: string | null;
}

/** What a delivery would have told. */
export interface Begun {
  readonly state: "in_progress" | "completed";
  readonly update: WorkflowJobUpdate;
}

/** Undefined while it has not begun. */
export function readShown(workflowJobId: number, job: ShownWorkflowJob, at: number): Begun | undefined {
  const { status: state, conclusion, runnerName } = job;
  const update = { workflowJobId, at, ...(runnerName ? { runnerName } : {}) };
  if (state === "in_progress") return { state, update };
  if (state !== "completed") return undefined;
  return { state, update: { ...update, conclusion: conclusion ?? "unknown" } };
}

/** Brings the ledger up to date with what no delivery told. */
export async function recordBegun(
  ledger: Pick<Ledger, "recordInProgress" | "recordCompleted">,
  { state, update }: Begun,
): Promise<void> {
  if (state === "completed") await ledger.recordCompleted(update);
  else await ledger.recordInProgress(update);
}
