import type { LaunchRecord, Ledger, Note, RunnerRecord, WorkflowJobRecord } from "@grp/ledger";
import { describeNow } from "./explain.ts";

/** The way of one workflow job, in order. `queued` is GitHub's time; the others are ours. */
const STEPS = [
  "queued",
  "received",
  "enqueued",
  "launched",
  "booted",
  "claimed",
  "online",
  "busy",
  "finished",
  "gone",
] as const;
export type Step = (typeof STEPS)[number];

export interface TimelineEntry {
  readonly step: Step;
  readonly at: number;
  /** Since the delivery was received. Negative when a runner was up before (it was meant for a sibling). */
  readonly elapsedMs: number;
}

/** A workflow job's record joined with its launches and runners: all that is known of it. */
export interface WorkflowJobView extends WorkflowJobRecord {
  /** The furthest step that happened. */
  readonly step: Step;
  readonly timeline: readonly TimelineEntry[];
  readonly launches: readonly LaunchRecord[];
  readonly runners: readonly RunnerRecord[];
  /** The runner whose steps are in the timeline: the one that took it, else the one most likely to. */
  readonly runner?: RunnerRecord;
  /** Where it is now, and what comes next, as sentences. */
  readonly now: string;
  readonly next: string;
  /** The result of a dry run. */
  readonly plan?: unknown;
}

/** Null when the ledger knows nothing of it (any more). */
export async function readWorkflowJobView(ledger: Ledger, key: string): Promise<WorkflowJobView | null> {
  const record = await ledger.getWorkflowJob(key);
  if (!record) return null;
  const view = await joinWorkflowJob(ledger, record);
  if (!record.demand.dryRun) return view;
  const plan = await ledger.getPlan(key);
  return plan === null ? view : { ...view, plan };
}

export async function joinWorkflowJob(ledger: Ledger, record: WorkflowJobRecord): Promise<WorkflowJobView> {
  const launches = await readAll(record.launchIds, (id) => ledger.getLaunch(id));
  const names = new Set(launches.flatMap((launch) => launch.runnerNames));
  if (record.servedBy !== undefined) names.add(record.servedBy);
  const runners = await readAll([...names], (name) => ledger.getRunner(name));
  const runner = chooseRunner(record, runners);
  const timeline = joinTimeline(record, runner);
  return {
    ...record,
    step: timeline.at(-1)?.step ?? "queued",
    timeline,
    launches,
    runners,
    ...(runner ? { runner } : {}),
    ...describeNow(record, runner, launches),
  };
}

async function readAll<T>(ids: readonly string[], read: (id: string) => Promise<T | null>): Promise<T[]> {
  const found = await Promise.all(ids.map(read));
  return found.filter((item): item is Awaited<T> & T => item !== null);
}

function chooseRunner(record: WorkflowJobRecord, runners: readonly RunnerRecord[]): RunnerRecord | undefined {
  if (record.servedBy !== undefined) return runners.find((one) => one.runnerName === record.servedBy);
  // One that serves somebody else is no longer on its way to this one.
  const free = runners.filter((one) => !one.workflowJobKey || one.workflowJobKey === record.key);
  return free.findLast((one) => one.step !== "gone") ?? free.at(-1);
}

function joinTimeline(record: WorkflowJobRecord, runner: RunnerRecord | undefined): TimelineEntry[] {
  const { times } = record;
  const ran = runner?.times ?? {};
  const at: { readonly [step in Step]: number | undefined } = {
    queued: times.queued,
    received: times.received,
    enqueued: times.enqueued,
    launched: ran.launched,
    booted: ran.booted,
    claimed: ran.claimed,
    online: ran.online,
    busy: times.inProgress ?? ran.busy,
    finished: times.completed ?? ran.finished,
    gone: ran.gone,
  };
  const origin = times.received ?? times.queued ?? 0;
  return STEPS.flatMap((step) => {
    const time = at[step];
    return time === undefined ? [] : [{ step, at: time, elapsedMs: time - origin }];
  });
}

/** Everything that was noted about it and its runners, oldest first. */
export function collectNotes(view: WorkflowJobView): readonly (Note & { readonly about?: string })[] {
  const own = view.notes.map((note) => ({ ...note }));
  const others = view.runners.flatMap((runner) =>
    runner.notes.map((note) => ({ ...note, about: runner.runnerName })),
  );
  return [...own, ...others].sort((a, b) => a.at - b.at);
}
