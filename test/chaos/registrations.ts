import type { StandInDelivery, StandInRunner, StandInWorkflowJob } from "../../packages/sandbox/src/index.ts";
import type { MachineRecord } from "../../packages/sandbox/src/machines/index.ts";
import type { Stack } from "../../packages/sandbox/src/stack/index.ts";
import type { InflictedFault } from "./faults.ts";

/** A machine by its own record; `launchId` is what its tags or labels say. */
export type ClaimingMachine = Pick<MachineRecord, "id" | "claims" | "fault" | "brokeAt" | "endedAt"> & {
  readonly launchId: string | undefined;
};

/** What the stand-ins hold: nothing here is grp's own word. */
export interface Records {
  readonly registrations: readonly StandInRunner[];
  readonly jobs: readonly StandInWorkflowJob[];
  readonly deliveries: readonly Pick<StandInDelivery, "payload" | "action" | "statusCode" | "answeredAt">[];
  readonly machines: readonly ClaimingMachine[];
  readonly faults: readonly InflictedFault[];
}

export interface RegistrationVerdict {
  /** Registrations that served nobody, by why that may be. */
  readonly excused: Readonly<Record<string, number>>;
  /** Every registration that no demand had room for, or that went to the wrong machine. */
  readonly violations: readonly string[];
}

export function readRecords({ sandbox }: Stack, faults: readonly InflictedFault[]): Records {
  const { github, ec2, codemagic, machines } = sandbox;
  const launchOf = (id: string) =>
    ec2.get(id)?.tags["grp:launch"] ?? codemagic.get(id)?.labels.find((label) => label.startsWith("l-"));
  return {
    registrations: github.registrations(),
    jobs: github.workflowJobs(),
    deliveries: github.deliveries,
    machines: machines.records.map((record) => ({ ...record, launchId: launchOf(record.id) })),
    faults,
  };
}

/**
 * Once, held against the stand-ins' records: a runner is registered again only when its machine never got the first answer
 * and the first was deleted before; one that ran nothing is excused only when no machine ever held it, its machine really
 * broke, or its workflow job was withdrawn and grp could not know it when the machine asked; and never were there more idle
 * runners than workflow jobs that waited for one.
 */
export function judgeRegistrations(records: Records): RegistrationVerdict {
  const runners = [...Map.groupBy(records.registrations, ({ name }) => name).values()].map((registrations) =>
    describeRunner(records, registrations),
  );
  const unused = runners.filter(({ registrations }) => !registrations.some(isUsed));
  const withdrawn = matchWithdrawn(records, unused.filter(isHealthy));
  const reasons = unused.map((runner) => ({
    runner,
    why: runner.lostAt !== undefined ? "never handed over" : (runner.broke?.why ?? withdrawn.get(runner)),
  }));
  return {
    excused: count([
      ...runners.flatMap(({ registrations }) => registrations.slice(1).map(() => "claim repeated")),
      ...reasons.flatMap(({ why }) => why ?? []),
    ]),
    violations: [
      ...runners.flatMap(judgeRepeats),
      ...reasons.flatMap(({ runner, why }) =>
        why === undefined
          ? `${runner.name} (${runner.pool}) is one too many: nothing befell its machine`
          : [],
      ),
      ...runners.flatMap((runner) => judgeMoment(records, runners, runner)),
      ...judgeRudeness(records),
    ],
  };
}

/** One runner name, with every registration that was made under it, oldest first. */
interface Runner {
  readonly name: string;
  readonly pool: string;
  readonly registrations: readonly StandInRunner[];
  /** When its machine asked for what it was handed; the mint's own time when it was handed nothing. */
  readonly askedAt: number;
  readonly handedOver: number;
  readonly broke: { readonly at: number; readonly why: string } | undefined;
  /** Since when it was sure that no machine would ever hold its last registration. */
  readonly lostAt: number | undefined;
}

/** A killed ingress' call is still on its way to GitHub when the machine's connection breaks. */
const UNDER_WAY_MS = 1_000;

function describeRunner({ machines, faults }: Records, registrations: readonly StandInRunner[]): Runner {
  const last = registrations.at(-1) as StandInRunner;
  const { name, mintedAt } = last;
  const holders = machines.flatMap((machine) =>
    (machine.claims ?? [])
      .filter(({ runnerName }) => runnerName === name)
      .map((claim) => ({ machine, claim })),
  );
  const holder = holders.at(-1);
  const fault = holder && faults.find(({ what }) => what === holder.machine.id);
  const own = holder?.machine.brokeAt;
  const broke =
    own === undefined
      ? fault && { at: fault.from, why: fault.kind }
      : { at: own, why: holder?.machine.fault ?? "" };
  const unanswered = machines
    .filter(({ launchId }) => launchId !== undefined && name.includes(`-${launchId.replace(/^l-/, "")}-`))
    .flatMap(({ claims = [], endedAt }) =>
      claims.map((claim) => ({ ...claim, until: claim.until ?? endedAt })),
    )
    .find(
      ({ from, until = Number.POSITIVE_INFINITY, status, isRude }) =>
        !isRude &&
        status !== 200 &&
        from <= mintedAt &&
        mintedAt <= until + (status === undefined ? Number.POSITIVE_INFINITY : UNDER_WAY_MS),
    );
  return {
    name,
    pool: poolOf(last),
    registrations,
    askedAt: holder?.claim.from ?? mintedAt,
    handedOver: holders.length,
    // What broke and is still there did not end: that is a leak, and no excuse.
    broke: holder?.machine.endedAt === undefined ? undefined : broke,
    lostAt: holder ? undefined : unanswered?.until,
  };
}

const isUsed = ({ workflowJobId }: StandInRunner) => workflowJobId !== undefined;
const isHealthy = ({ lostAt, broke }: Runner) => lostAt === undefined && broke === undefined;

function judgeRepeats({ name, registrations, handedOver }: Runner): readonly string[] {
  const wrong = registrations.slice(1).flatMap((again, index) => {
    const first = registrations[index] as StandInRunner;
    if (isUsed(first)) return `${name} was registered again after its workflow job`;
    const isDeleted =
      first.gone === "deleted" && (first.goneAt ?? Number.POSITIVE_INFINITY) <= again.mintedAt;
    return isDeleted ? [] : `${name} was registered again before the first was deleted`;
  });
  return handedOver > 1 ? [...wrong, `${name} was handed over ${handedOver} times`] : wrong;
}

/** Which healthy runners were asked for before grp could know of a withdrawal: at most one for each. */
function matchWithdrawn(records: Records, runners: readonly Runner[]): ReadonlyMap<Runner, string> {
  const free = records.jobs
    .filter((job) => job.startedAt === undefined && job.status === "completed")
    .map((job) => ({ job, pool: poolOfJob(job), knownAt: knownAt(records, job) }))
    .sort((one, other) => one.knownAt - other.knownAt);
  const matched = new Map<Runner, string>();
  for (const runner of [...runners].sort((one, other) => one.askedAt - other.askedAt)) {
    const { pool, askedAt, registrations } = runner;
    const mintedAt = registrations.at(-1)?.mintedAt ?? askedAt;
    const at = free.findIndex(
      (one) => one.pool === pool && one.job.queuedAt <= mintedAt && askedAt <= one.knownAt,
    );
    if (at < 0) continue;
    free.splice(at, 1);
    matched.set(runner, "workflow job withdrawn");
  }
  return matched;
}

/** When the product took in that it was withdrawn; never, if no delivery of it got through. */
function knownAt({ deliveries }: Records, { id }: StandInWorkflowJob): number {
  const told = deliveries
    .filter(({ action, statusCode }) => action === "completed" && statusCode >= 200 && statusCode < 300)
    .filter(({ payload }) => (payload as { workflow_job?: { id: number } }).workflow_job?.id === id)
    .map(({ answeredAt = Number.POSITIVE_INFINITY }) => answeredAt);
  return Math.min(Number.POSITIVE_INFINITY, ...told);
}

/** At the moment of its registration: as many idle runners as workflow jobs that want one, or fewer. */
function judgeMoment(records: Records, runners: readonly Runner[], runner: Runner): readonly string[] {
  const { pool, name, askedAt } = runner;
  const at = runner.registrations.at(-1)?.mintedAt ?? 0;
  const startOf = new Map(records.jobs.map(({ id, startedAt }) => [id, startedAt]));
  const isIdle = ({ mintedAt, goneAt, workflowJobId }: StandInRunner) =>
    mintedAt <= at && !isBefore(goneAt, at) && !isBefore(startOf.get(workflowJobId ?? 0), at);
  const idle = runners.filter(
    (one) =>
      one.pool === pool &&
      !isBefore(one.broke?.at, at) &&
      !isBefore(one.lostAt, at) &&
      one.registrations.some(isIdle),
  );
  const wanting = records.jobs.filter(
    (job) =>
      poolOfJob(job) === pool &&
      job.queuedAt <= at &&
      !isBefore(job.startedAt, at) &&
      (job.startedAt !== undefined || job.status !== "completed" || askedAt <= knownAt(records, job)),
  );
  if (idle.length <= wanting.length) return [];
  return [
    `${name} (${pool}) was registered when ${wanting.length} waited and ${idle.length} runners were idle`,
  ];
}

const isBefore = (time: number | undefined, at: number) => time !== undefined && time < at;

function judgeRudeness({ machines }: Records): readonly string[] {
  return machines.flatMap(({ id, claims = [] }) =>
    claims
      .filter(({ isRude, status }) => isRude && status === 200)
      .map(() => `machine ${id} was handed a registration that was none of its own`),
  );
}

const poolOf = ({ labels, scope }: StandInRunner) =>
  `${labels[0]} ${scope.kind === "repository" ? scope.repository : "(organization)"}`;

const poolOfJob = ({ labels, repository }: StandInWorkflowJob) =>
  `${labels[0]} ${labels[0] === "mac" ? "(organization)" : repository}`;

function count(names: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    [...Map.groupBy(names, (name) => name)].map(([name, { length }]) => [name, length]),
  );
}
