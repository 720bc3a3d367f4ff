import { demandKey } from "../../packages/core/src/index.ts";
import type { StandInRunner, StandInWorkflowJob } from "../../packages/sandbox/src/index.ts";
import type { Stack } from "../../packages/sandbox/src/stack/index.ts";
import type { InflictedFault } from "./faults.ts";

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

/** A registration that ran no workflow job, and why that may be. */
export interface UnusedRunner {
  readonly name: string;
  readonly pool: string;
  /** What happened to its machine; undefined when nothing did. */
  readonly why: string | undefined;
}

/**
 * Each demand may have one runner, and another for each whose machine came to a bad end. A runner is known by its name:
 * minted again for the same machine it is the same one (GitHub lets only one of a name be there at a time).
 */
export function findUnused(stack: Stack, faults: readonly InflictedFault[]): readonly UnusedRunner[] {
  const byName = Map.groupBy(stack.sandbox.github.registrations(), ({ name }) => name);
  return [...byName].flatMap(([name, runners]) => {
    if (runners.some(({ workflowJobId }) => workflowJobId !== undefined)) return [];
    const why =
      explain(stack, name, faults) ?? (wasOnline(runners) ? undefined : "its machine never got it online");
    return [{ name, pool: poolOf(runners), why }];
  });
}

const wasOnline = (runners: readonly StandInRunner[]) =>
  runners.some(({ onlineAt }) => onlineAt !== undefined);

const poolOf = (runners: readonly StandInRunner[]) => {
  const [runner] = runners;
  return `${runner?.labels[0]} ${runner?.scope.kind === "repository" ? runner.scope.repository : "(organization)"}`;
};

function explain(
  { sandbox, ingress }: Stack,
  runnerName: string,
  faults: readonly InflictedFault[],
): string | undefined {
  const claim = ingress
    .flatMap(({ lines }) => lines)
    .findLast((line) => line.message === "runner.claimed" && line.runnerName === runnerName);
  const id = claim?.instanceId;
  const machine = sandbox.machines.records.find((record) => record.id === id);
  if (!machine) return "its ingress died over its claim";
  if (claim?.outcome !== "granted") return "its registration was never handed over";
  if (machine.fault) return machine.fault;
  return faults.find(({ what }) => what === id)?.kind;
}

/** Runners beyond demand and explained replacements, by pool: 0 or less everywhere, or some demand had two. */
export function countSurplus(stack: Stack, unused: readonly UnusedRunner[]): ReadonlyMap<string, number> {
  const unexplained = Map.groupBy(
    unused.filter(({ why }) => why === undefined),
    ({ pool }) => pool,
  );
  // A job withdrawn while its machine booted leaves a runner that nobody needs.
  const withdrawn = (pool: string) =>
    stack.sandbox.github
      .workflowJobs()
      .filter((job) => job.startedAt === undefined && job.status === "completed" && poolOfJob(job) === pool)
      .length;
  return new Map([...unexplained].map(([pool, runners]) => [pool, runners.length - withdrawn(pool)]));
}

const poolOfJob = ({ labels, repository }: StandInWorkflowJob) =>
  `${labels[0]} ${labels[0] === "mac" ? "(organization)" : repository}`;
