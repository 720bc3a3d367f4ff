import type { Demand } from "@grp/core";
import { readShown } from "@grp/ledger";
import type { Deed, Rule } from "../rule.ts";

/** GitHub says that the workflow job has begun or ended, and no delivery told us: the ledger is brought up to date. */
export const notQueued: Rule = {
  name: "not-queued",
  judge: (world) => [
    ...[...world.demands.map(({ record }) => record), ...world.unended].flatMap((record) => {
      const job = world.workflowJobs.get(record.key);
      if (!job || job.status === record.workflowJobState) return [];
      const begun = readShown(record.demand.workflowJobId, job, world.now);
      return begun ? [{ kind: "record-workflow-job" as const, ...begun }] : [];
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
