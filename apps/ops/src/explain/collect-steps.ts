import { parseDemandJobId } from "@grp/core";
import type { LaunchRecord, Note, RunnerRecord, RunnerStep, WorkflowJobRecord } from "@grp/ledger";
import type { WorkflowJobStory } from "./story.ts";

export interface ExplainedStep {
  readonly at: number;
  readonly what: string;
}

/** Everything that happened, in order of time; what happened at the same moment stays in its natural order. */
export function collectSteps(story: WorkflowJobStory): readonly ExplainedStep[] {
  const { record, launches, runners } = story;
  const steps = [
    ...describeArrival(record),
    ...launches.map((launch) => describeLaunch(launch, record)),
    ...runners.flatMap((runner) => describeRunner(runner, record)),
    ...record.notes.map((note) => ({ at: note.at, what: describeNote(note) })),
    ...describeEnd(record, runners),
  ];
  return steps.sort((one, other) => one.at - other.at);
}

function describeArrival({ times, demand }: WorkflowJobRecord): ExplainedStep[] {
  const source =
    demand.deliveryId === "unheard" ? "found in GitHub's queued runs" : `delivery ${demand.deliveryId}`;
  return compact([
    [times.queued, "queued at GitHub"],
    [times.received, `received: ${source}`],
    [times.enqueued, "in its queue"],
  ]);
}

function describeLaunch(launch: LaunchRecord, { key }: WorkflowJobRecord): ExplainedStep {
  const { provider, offeringIndex, launchId, state, size } = launch;
  const mine = launch.placeHolders.map(parseDemandJobId).find((holder) => holder.key === key);
  const many = size === 1 ? "" : ` of ${size} machines`;
  const end = state === "failed" ? ", which failed" : "";
  const what = `${provider} (offering ${offeringIndex + 1}, machine ${mine?.generation ?? 1}): launch ${launchId}${many}${end}`;
  return { at: launch.openedAt, what };
}

const RUNNER_WORDS: { readonly [step in RunnerStep]?: string } = {
  launched: "machine started",
  booted: "machine booted",
  claimed: "registration claimed",
  online: "runner online",
  gone: "machine gone",
};

function describeRunner(runner: RunnerRecord, record: WorkflowJobRecord): ExplainedStep[] {
  const name = runner.instanceId ?? runner.runnerName;
  // A launch that failed started nothing: its runner is gone, and no machine ever was.
  const times = runner.instanceId === undefined ? { ...runner.times, gone: undefined } : runner.times;
  const steps = Object.entries(RUNNER_WORDS).map(([step, word]): readonly [number | undefined, string] => [
    times[step as RunnerStep],
    `${name}: ${word}`,
  ]);
  const other = runner.workflowJobKey;
  const isTaken = other !== undefined && other !== record.key;
  const taken = isTaken ? compact([[runner.times.busy, `${name}: runner took a sibling, ${other}`]]) : [];
  const notes = runner.notes.map((note) => ({ at: note.at, what: describeNote(note, name) }));
  return [...compact(steps), ...taken, ...notes];
}

function describeEnd(record: WorkflowJobRecord, runners: readonly RunnerRecord[]): ExplainedStep[] {
  const { times, servedBy, conclusion, failure } = record;
  const isOurs = runners.some(({ runnerName }) => runnerName === servedBy);
  const by = servedBy === undefined ? "" : ` on ${servedBy}${isOurs ? "" : " (not ours)"}`;
  const code = failure?.code === undefined ? "" : ` (${failure.code})`;
  return compact([
    [times.inProgress, `started${by}`],
    [times.completed, `ended at GitHub: ${conclusion ?? "no conclusion given"}`],
    [
      failure?.at ?? times.failed,
      `failed for good: ${failure?.errorClass ?? ""}${code} ${failure?.message ?? ""}`.trimEnd(),
    ],
  ]);
}

function compact(steps: readonly (readonly [at: number | undefined, what: string])[]): ExplainedStep[] {
  return steps.flatMap(([at, what]) => (at === undefined ? [] : [{ at, what }]));
}

function describeNote({ kind, text }: Note, about?: string): string {
  const of = about === undefined ? "" : `${about}: `;
  return `${of}${kind}${text && text !== kind ? `: ${text}` : ""}`;
}
