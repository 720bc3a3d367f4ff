import type { LaunchRecord, RunnerRecord, RunnerStep, WorkflowJobRecord } from "@grp/ledger";

export interface Explanation {
  readonly now: string;
  readonly next: string;
}

/** What a runner's step means for the workflow job that waits for one. */
const ON_THE_WAY: { readonly [step in RunnerStep]?: Explanation } = {
  launching: { now: "the provider is being asked for a machine", next: "the machine boots" },
  launched: { now: "a machine boots", next: "it claims its registration; not in time, another is launched" },
  booted: { now: "a machine is up and claims its registration", next: "its runner registers with GitHub" },
  claimed: { now: "a runner registers with GitHub", next: "it comes online and GitHub gives it a job" },
  online: {
    now: "a runner is online and waits for GitHub to give it a job",
    next: "GitHub starts this job, or one of its siblings, on it",
  },
};

/** Where a workflow job is, why it is not further, and what comes next. */
export function describeNow(
  record: WorkflowJobRecord,
  runner: RunnerRecord | undefined,
  launches: readonly LaunchRecord[],
): Explanation {
  return (
    describeEnd(record, runner) ?? describeStarted(record, runner) ?? describeWait(record, runner, launches)
  );
}

function describeEnd(record: WorkflowJobRecord, runner: RunnerRecord | undefined): Explanation | undefined {
  const { demandState, failure, conclusion } = record;
  if (demandState === "failed")
    return {
      now: `a dead letter: ${failure?.message ?? "failed for good"}`,
      next: `nothing, until a person retries or dismisses it: grp retry ${record.key}`,
    };
  if (demandState === "dismissed") return { now: "given up by a person", next: "nothing" };
  if (record.demand.dryRun && demandState === "served")
    return { now: "planned; nothing was launched", next: "nothing" };
  if (demandState === "cancelled")
    return { now: `ended before it started (${conclusion ?? "cancelled"})`, next: "nothing" };
  if (record.workflowJobState !== "completed") return undefined;
  const isLeft = runner !== undefined && runner.step !== "gone";
  return {
    now: `finished: ${conclusion ?? "no conclusion given"}`,
    next: isLeft ? `the machine of ${runner.runnerName} ends` : "nothing",
  };
}

function describeStarted(
  record: WorkflowJobRecord,
  runner: RunnerRecord | undefined,
): Explanation | undefined {
  if (record.workflowJobState !== "in_progress") return undefined;
  const by = record.servedBy ?? "a runner";
  return {
    now: runner ? `runs on ${by}` : `runs on ${by}, which is not ours`,
    next: runner ? "the runner ends with the job, and its machine with it" : "nothing from us",
  };
}

function describeWait(
  record: WorkflowJobRecord,
  runner: RunnerRecord | undefined,
  launches: readonly LaunchRecord[],
): Explanation {
  if (record.waitsFor)
    return { now: `waits for ${record.waitsFor}`, next: "it starts by itself when that has passed" };
  const onTheWay = runner ? ON_THE_WAY[runner.step] : undefined;
  if (onTheWay) return onTheWay;
  if (runner)
    return {
      now: `its machine ${runner.runnerName} has ended without taking it`,
      next: "the sweep launches another if demand still exceeds supply",
    };
  if (launches.length > 0)
    return {
      now: "the runner launched for it took a sibling job, or its launch failed",
      next: "the sweep launches another if demand still exceeds supply",
    };
  if (record.times.enqueued === undefined)
    return { now: "not yet in a queue", next: "the sweep enqueues it, or GitHub delivers it again" };
  return { now: "in its queue; a worker has not launched for it yet", next: "a worker takes it" };
}
