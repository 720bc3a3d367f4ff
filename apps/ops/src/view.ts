import { demandKey, type Plan } from "@grp/core";
import type { IgnoredWorkflowJob, LaunchRecord, Ledger, RunnerRecord, WorkflowJobRecord } from "@grp/ledger";
import { type Explanation, explainIgnored, explainWorkflowJob } from "./explain/explain.ts";
import { findServer, listFree, type ReadOptions, readStory, type WorkflowJobStory } from "./explain/story.ts";

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

/** A workflow job's record joined with its launches and runners, and what they mean. */
export interface WorkflowJobView extends WorkflowJobRecord {
  readonly kind: "demand";
  readonly explanation: Explanation;
  /** The furthest step that happened. */
  readonly step: Step;
  readonly timeline: readonly TimelineEntry[];
  readonly launches: readonly LaunchRecord[];
  readonly runners: readonly RunnerRecord[];
  /** The runner whose steps are in the timeline: the one that took it, else the one most likely to. */
  readonly runner?: RunnerRecord;
  /** The result of a dry run. */
  readonly plan?: Plan;
}

/** One that no class serves, and why. */
export interface IgnoredView {
  readonly kind: "ignored";
  readonly key: string;
  readonly ignored: IgnoredWorkflowJob;
  readonly explanation: Explanation;
}

/** Null when the ledger knows nothing of it (any more). */
export async function readWorkflowJob(
  ledger: Ledger,
  key: string,
  options: ReadOptions,
): Promise<WorkflowJobView | IgnoredView | null> {
  const record = await ledger.getWorkflowJob(key);
  if (!record) return readIgnored(ledger, key, options);
  const view = await joinWorkflowJob(ledger, record, options);
  // Only a dry run ends a demand that GitHub still has queued.
  if (record.demandState !== "served" || record.workflowJobState !== "queued") return view;
  const plan = await ledger.getPlan(key);
  return plan === null ? view : { ...view, plan: plan as Plan };
}

async function readIgnored(ledger: Ledger, key: string, { now }: ReadOptions): Promise<IgnoredView | null> {
  const id = Number(/^wfj-(\d{1,16})$/.exec(key)?.[1]);
  const ignored = Number.isSafeInteger(id) ? await ledger.getIgnored(id) : null;
  return ignored && { kind: "ignored", key, ignored, explanation: explainIgnored(ignored, now) };
}

/** Many at once: what they share, a launch of a hundred machines, is read once. */
export async function joinWorkflowJobs(
  ledger: Ledger,
  records: readonly WorkflowJobRecord[],
  options: ReadOptions,
): Promise<readonly WorkflowJobView[]> {
  const reader = {
    getLaunch: remember((id: string) => ledger.getLaunch(id)),
    getRunner: remember((name: string) => ledger.getRunner(name)),
  };
  return Promise.all(records.map((record) => joinWorkflowJob(reader, record, options)));
}

function remember<T>(read: (id: string) => Promise<T>): (id: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (id) => {
    const found = known.get(id) ?? read(id);
    known.set(id, found);
    return found;
  };
}

async function joinWorkflowJob(
  ledger: Pick<Ledger, "getLaunch" | "getRunner">,
  record: WorkflowJobRecord,
  options: ReadOptions,
): Promise<WorkflowJobView> {
  const story = await readStory(ledger, record, options);
  const runner = chooseRunner(story);
  const timeline = joinTimeline(record, runner);
  return {
    ...record,
    kind: "demand",
    explanation: explainWorkflowJob(story),
    step: timeline.at(-1)?.step ?? "queued",
    timeline,
    launches: story.launches,
    runners: story.runners,
    ...(runner ? { runner } : {}),
  };
}

function chooseRunner(story: WorkflowJobStory): RunnerRecord | undefined {
  if (story.record.servedBy !== undefined) return findServer(story);
  const free = listFree(story);
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
    // A launch that failed started nothing: its runner is gone, and no machine ever was.
    gone: runner?.instanceId === undefined ? undefined : ran.gone,
  };
  const origin = times.received ?? times.queued ?? 0;
  return STEPS.flatMap((step) => {
    const time = at[step];
    return time === undefined ? [] : [{ step, at: time, elapsedMs: time - origin }];
  });
}

/** `123`, `wfj-123`, `dry-…`, or the address of a job's page on GitHub; undefined for an address without one. */
export function readKey(what: string): string | undefined {
  const text = what.trim();
  const id = text.includes("/") ? /\/jobs?\/(\d{1,16})\b/.exec(text)?.[1] : text;
  return id !== undefined && /^\d{1,16}$/.test(id) ? demandKey(Number(id)) : id;
}
