import { type IgnoreReason, scopeKey } from "@grp/core";
import type { IgnoredWorkflowJob } from "@grp/ledger";
import { formatRepository } from "../format.ts";
import { collectSteps, type ExplainedStep } from "./collect-steps.ts";
import { describeNow } from "./describe-now.ts";
import type { WhereNow, WorkflowJobStory } from "./story.ts";

/** The answer to "why does it wait?", in sentences. Also JSON as it stands. */
export interface Explanation extends WhereNow {
  readonly workflowJobId: number;
  readonly repository: string;
  readonly asked: string;
  /** The runner class, or null with the reason in `match`. */
  readonly runnerClass: string | null;
  readonly match: string;
  /** In order of time. */
  readonly steps: readonly ExplainedStep[];
  readonly at: number;
}

/** Pure: what was asked, which class matched, every step, where it is, what it waits for and what comes next. */
export function explainWorkflowJob(story: WorkflowJobStory): Explanation {
  const { record, now } = story;
  const { demand } = record;
  return {
    workflowJobId: demand.workflowJobId,
    repository: formatRepository(demand),
    asked: `labels [${demand.labels.join(", ")}], run ${demand.runId}, attempt ${demand.runAttempt}`,
    runnerClass: demand.runnerClass,
    match: `class ${demand.runnerClass}, registers at ${scopeKey(demand.scope)}${demand.dryRun ? ", planned only" : ""}`,
    steps: collectSteps(story),
    at: now,
    ...describeNow(story),
  };
}

const REASONS: Readonly<Record<IgnoreReason, { why: string; next: string }>> = {
  "no-labels": {
    why: "no class: its runs-on names no label (a runner group alone can't be matched)",
    next: "add one of the catalog's labels to runs-on, and run it again",
  },
  labels: {
    why: "no class has all of these labels",
    next: "change runs-on, or add the labels to a class of runners.yaml, and run it again",
  },
  "repository-not-allowed": {
    why: "a class has the labels, but may not serve this repository",
    next: "allow its owner or the repository in runners.yaml, and run it again",
  },
  "public-repository": {
    why: "a class has the labels, but the repository is public and the class serves none",
    next: "set allowPublicRepositories on the class, if its forks may run code there, and run it again",
  },
};

/** The same for one that no class served. */
export function explainIgnored(ignored: IgnoredWorkflowJob, at: number): Explanation {
  const { why, next } = REASONS[ignored.reason] ?? {
    why: `no class: ${ignored.reason}`,
    next: "nothing from us",
  };
  return {
    workflowJobId: ignored.workflowJobId,
    repository: formatRepository(ignored),
    asked: `labels [${ignored.labels.join(", ")}]`,
    runnerClass: null,
    match: why,
    steps: [{ at: ignored.at, what: "heard of and ignored" }],
    at,
    whereNow: "not ours: GitHub gives it to another runner that fits, or ends it after 24 hours",
    next,
  };
}
