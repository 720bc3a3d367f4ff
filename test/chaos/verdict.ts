import { demandKey } from "../../packages/core/src/index.ts";
import type { StandInWorkflowJob } from "../../packages/sandbox/src/index.ts";
import type { Stack } from "../../packages/sandbox/src/stack/index.ts";

/** What became of the jobs that GitHub was given, by GitHub's own records and what grp told. */
export interface Outcome {
  readonly served: readonly StandInWorkflowJob[];
  readonly cancelled: readonly StandInWorkflowJob[];
  /** Dead letters: listed, and with a line in a worker's log. */
  readonly told: readonly StandInWorkflowJob[];
  /** Nobody serves them and nobody said so. */
  readonly open: readonly StandInWorkflowJob[];
}

/** `dead`: keys that ops lists as dead letters. */
export function sortJobs({ sandbox, workers }: Stack, dead: ReadonlySet<string>): Outcome {
  const logged = new Set(
    workers.flatMap(({ lines }) =>
      lines.filter(({ message }) => message === "runner.failed").map(({ key }) => key),
    ),
  );
  const groups = Map.groupBy(sandbox.github.workflowJobs(), (job) => {
    if (job.startedAt !== undefined) return "served" as const;
    if (job.status === "completed") return "cancelled" as const;
    const key = demandKey(job.id);
    return dead.has(key) && logged.has(key) ? ("told" as const) : ("open" as const);
  });
  const take = (name: keyof Outcome) => groups.get(name) ?? [];
  return { served: take("served"), cancelled: take("cancelled"), told: take("told"), open: take("open") };
}

/** What lives and should not any more, by the stand-ins' records. */
export function findLeaks({ sandbox: { ec2, codemagic, github } }: Stack): readonly string[] {
  return [
    ...ec2
      .instances()
      .filter(({ state }) => state !== "terminated")
      .map(({ instanceId, state }) => `instance ${instanceId} is ${state}`),
    ...codemagic
      .builds()
      .filter(({ isLive }) => isLive)
      .map(({ buildId, status }) => `build ${buildId} is ${status}`),
    ...github.runners().map(({ name, status, busy }) => `runner ${name} is ${busy ? "busy" : status}`),
  ];
}
