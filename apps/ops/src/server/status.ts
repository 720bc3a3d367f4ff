import { type LedgerCounts, RUNNER_STEPS, type RunnerRecord, type RunnerStep, readCounts } from "@grp/ledger";
import { formatDuration } from "../format.ts";
import { joinWorkflowJobs } from "../view.ts";
import type { OpsContext } from "./actions.ts";
import { readWorld } from "./read-world.ts";
import { groupWaits, type WaitGroup } from "./wait-groups.ts";

/** Of each class and repository, to say what waits and for what; the oldest stand for the rest. */
const MOST_WAITING = 100;

/** What is counted: a few round trips to Redis, however much there is. */
export interface Counts extends LedgerCounts {
  readonly queues: Awaited<ReturnType<OpsContext["producer"]["counts"]>>;
}

export interface RunnerCount {
  readonly runnerClass: string;
  readonly step: RunnerStep;
  readonly count: number;
  /** Of these, whose spot machine its provider takes back. */
  readonly interrupted: number;
}

export interface Status extends Counts {
  readonly at: number;
  readonly isReadOnly: boolean;
  /** Runners not yet gone. */
  readonly runners: readonly RunnerCount[];
  /** What waits, and for what; who has waited longest comes first. */
  readonly waiting: readonly WaitGroup[];
}

export async function countAll({
  ledger,
  producer,
  now,
}: Pick<OpsContext, "ledger" | "producer" | "now">): Promise<Counts> {
  const [counts, queues] = await Promise.all([readCounts(ledger, now()), producer.counts()]);
  return { ...counts, queues };
}

/** Everything at a glance. */
export async function readStatus(context: OpsContext): Promise<Status> {
  const { ledger, isReadOnly } = context;
  const [counts, live, open] = await Promise.all([
    countAll(context),
    ledger.listLiveRunners(),
    ledger.listOpenDemands(MOST_WAITING),
  ]);
  const world = await readWorld(context, counts.queues);
  const views = await joinWorkflowJobs(ledger, open, world);
  return { at: world.now, isReadOnly, ...counts, runners: countRunners(live), waiting: groupWaits(views) };
}

export function describeSweep({ sweepAgeMs }: Counts): string {
  return sweepAgeMs === undefined ? "none is known" : `${formatDuration(sweepAgeMs)} ago`;
}

/** `booted`, or `booted (1 taken back)`. */
export function describeStep({ step, interrupted }: RunnerCount): string {
  return interrupted === 0 ? step : `${step} (${interrupted} taken back)`;
}

function countRunners(live: readonly RunnerRecord[]): readonly RunnerCount[] {
  const groups = Map.groupBy(live, ({ runnerClass, step }) => `${runnerClass}|${step}`);
  const isTakenBack = ({ notes }: RunnerRecord) => notes.some(({ kind }) => kind === "interrupted");
  return [...groups.values()]
    .flatMap((group) => {
      const [first] = group;
      if (!first) return [];
      const { runnerClass, step } = first;
      return [{ runnerClass, step, count: group.length, interrupted: group.filter(isTakenBack).length }];
    })
    .sort((one, other) => RUNNER_STEPS.indexOf(one.step) - RUNNER_STEPS.indexOf(other.step));
}
