import type { RunnerClass } from "@grp/core";
import type { LaunchRecord, RunnerRecord, WorkflowJobRecord } from "./types.ts";

/** All that is known of one workflow job, from the ledger and the catalog. */
export interface WorkflowJobStory {
  readonly record: WorkflowJobRecord;
  /** Those of `record.launchIds` that the ledger still has. */
  readonly launches: readonly LaunchRecord[];
  /** Those of its launches, and the one that served it. */
  readonly runners: readonly RunnerRecord[];
  /** For the limits by which a wait ends. */
  readonly runnerClass?: RunnerClass | undefined;
  readonly now: number;
}

export interface ExplainedStep {
  readonly at: number;
  readonly what: string;
}
