import type { Demand } from "@grp/core";
import type { GitHubWorkflowJob } from "@grp/github";
import type { Deed, Rule } from "../rule.ts";

/** GitHub says that the workflow job has begun or ended, and no delivery told us: the ledger is brought up to date. */
export const notQueued: Rule = {
  name: "not-queued",
  judge: (world) => [
    ...[...world.demands.map(({ record }) => record), ...world.unended].flatMap((record) => {
      const job = world.workflowJobs.get(record.key);
      return job && job.status !== record.workflowJobState ? judgeJob(record.demand, job, world.now) : [];
    }),
    ...world.unended
      .filter(({ key }) => world.workflowJobs.get(key) === null)
      .map(({ demand }) => endUnknown(demand, world.now)),
  ],
};

/** Its runner is gone, and GitHub knows it no more (its run or repository was deleted): nobody will ever say how it ended. */
function endUnknown({ workflowJobId }: Demand, at: number): Deed {
  return {
    kind: "record-workflow-job",
    state: "completed",
    update: { workflowJobId, at, conclusion: "unknown" },
  };
}

function judgeJob({ workflowJobId }: Demand, job: GitHubWorkflowJob, at: number): readonly Deed[] {
  const runner = job.runnerName ? { runnerName: job.runnerName } : {};
  const update = { workflowJobId, at, ...runner };
  if (job.status === "in_progress") return [{ kind: "record-workflow-job", state: "in_progress", update }];
  if (job.status !== "completed") return [];
  const conclusion = job.conclusion ?? "unknown";
  return [{ kind: "record-workflow-job", state: "completed", update: { ...update, conclusion } }];
}
