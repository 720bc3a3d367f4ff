import { readShown, recordBegun } from "@grp/ledger";
import type { Attempt } from "./attempt.ts";
import type { WorkerContext } from "./context.ts";
import { isOurName } from "./sweep/world.ts";

/** GitHub delivers within seconds: what is that old at its arrival was sent again, after an outage or a lost Redis. */
const LATE_MS = 600_000;

/** GitHub was asked and has answered. */
const NOTE = "late";

/**
 * Whether a workflow job whose `queued` came late waits no longer, as GitHub says; the ledger is told what it says. One
 * call, and none once it was answered. Who can't be asked about counts as queued, as does one that GitHub does not know,
 * and one that took a machine of ours: that was started for another, which still waits.
 */
export async function isOver(
  context: WorkerContext,
  { demand, history, work }: Attempt,
): Promise<"completed" | "in_progress" | null> {
  const lateMs = demand.receivedAt - demand.queuedAt;
  if (lateMs <= LATE_MS || history.notes.some(({ kind }) => kind === NOTE)) return null;
  const job = await context.github.getWorkflowJob(demand, work.signal).catch((error: unknown) => {
    if (work.signal.aborted) throw error;
    return undefined;
  });
  if (job === undefined) return null;
  const at = context.now();
  const begun = job === null ? undefined : readShown(job.id, job, at);
  if (begun) await recordBegun(context.ledger, begun);
  const text = `heard of ${Math.round(lateMs / 60_000)} min after it was queued; GitHub says: ${job?.status ?? "not there"}`;
  await context.ledger.addNote(demand.key, { at, kind: NOTE, text });
  return job?.runnerName && isOurName(context, job.runnerName) ? null : (begun?.state ?? null);
}
