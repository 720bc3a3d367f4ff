import type { Catalog, ProviderName, RunnerClass } from "@grp/core";
import {
  type LaunchRecord,
  type Ledger,
  type RunnerRecord,
  runnerNamesFor,
  type WorkflowJobRecord,
} from "@grp/ledger";

export interface WhereNow {
  readonly whereNow: string;
  /** Absent when it waits for nothing. */
  readonly waitsFor?: string;
  readonly next: string;
}

/** All that is known of one workflow job, from the ledger and the catalog. */
export interface WorkflowJobStory {
  readonly record: WorkflowJobRecord;
  /** Those of `record.launchIds` that the ledger still has. */
  readonly launches: readonly LaunchRecord[];
  /** Those launched for it, and the one that served it. */
  readonly runners: readonly RunnerRecord[];
  /** For the limits by which a wait ends. */
  readonly runnerClass?: RunnerClass | undefined;
  readonly holds: Holds;
  readonly now: number;
}

/** Queues that a rate limit holds, and for how long (ms). */
export type Holds = { readonly [provider in ProviderName]?: number };

export interface ReadOptions {
  /** Absent: limits are left out. */
  readonly catalog?: Catalog | undefined;
  readonly holds: Holds;
  readonly now: number;
}

/** Joins a workflow job's record with its launches and runners: a few round trips to Redis. */
export async function readStory(
  ledger: Pick<Ledger, "getLaunch" | "getRunner">,
  record: WorkflowJobRecord,
  { catalog, ...world }: ReadOptions,
): Promise<WorkflowJobStory> {
  const launches = await readAll(record.launchIds, (id) => ledger.getLaunch(id));
  const names = new Set(launches.flatMap((launch) => runnerNamesFor(launch, record.key)));
  if (record.servedBy !== undefined) names.add(record.servedBy);
  const runners = await readAll([...names], (name) => ledger.getRunner(name));
  const runnerClass = catalog?.classes.find(({ name }) => name === record.demand.runnerClass);
  return { record, launches, runners, runnerClass, ...world };
}

async function readAll<T>(ids: readonly string[], read: (id: string) => Promise<T | null>): Promise<T[]> {
  const found = await Promise.all(ids.map(read));
  return found.flatMap((one) => (one === null ? [] : [one]));
}

/** The runner of ours that really took it. */
export function findServer({ record, runners }: WorkflowJobStory): RunnerRecord | undefined {
  return runners.find(({ runnerName }) => runnerName === record.servedBy);
}

/** Those not known to serve somebody else. */
export function listFree({ record, runners }: WorkflowJobStory): readonly RunnerRecord[] {
  return runners.filter((one) => one.workflowJobKey === undefined || one.workflowJobKey === record.key);
}
