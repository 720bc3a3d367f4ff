import type { Catalog } from "@grp/core";
import { demandKey } from "@grp/core";
import { type Explanation, explainIgnored, explainWorkflowJob } from "./explain.ts";
import type { Ledger } from "./types.ts";

type Reader = Pick<Ledger, "getWorkflowJob" | "getLaunch" | "getRunner" | "getIgnored">;

/** Reads what the ledger knows of a workflow job and explains it; null when it never heard of it, or forgot. */
export async function explain(
  ledger: Reader,
  workflowJobId: number,
  { catalog, now }: { readonly catalog?: Catalog | undefined; readonly now: number },
): Promise<Explanation | null> {
  const record = await ledger.getWorkflowJob(demandKey(workflowJobId));
  if (!record) {
    const ignored = await ledger.getIgnored(workflowJobId);
    return ignored && explainIgnored(ignored, now);
  }
  const launches = await readAll(record.launchIds, (id) => ledger.getLaunch(id));
  const names = new Set(launches.flatMap(({ runnerNames }) => runnerNames));
  if (record.servedBy) names.add(record.servedBy);
  const runners = await readAll([...names], (name) => ledger.getRunner(name));
  const runnerClass = catalog?.classes.find(({ name }) => name === record.demand.runnerClass);
  return explainWorkflowJob({ record, launches, runners, runnerClass, now });
}

async function readAll<T>(ids: readonly string[], read: (id: string) => Promise<T | null>): Promise<T[]> {
  const found = await Promise.all(ids.map(read));
  return found.flatMap((one) => (one === null ? [] : [one]));
}
