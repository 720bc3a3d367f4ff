import type { Demand } from "@grp/core";
import type { LaunchRecord, Ledger } from "@grp/ledger";

/** What was tried for one demand and generation before, oldest first. */
export interface LaunchHistory {
  readonly launches: readonly LaunchRecord[];
  /** The last walk ended without room anywhere: the next begins at the first offering again. */
  readonly lacksCapacity: boolean;
  /** Walks that found no room anywhere, as far as the ledger's notes reach back. */
  readonly emptyWalks: number;
}

/** Value of `waitsFor` while no offering has room. */
export const WAITS_FOR_CAPACITY = "capacity";

export async function readHistory(ledger: Ledger, demand: Demand): Promise<LaunchHistory> {
  const record = await ledger.getWorkflowJob(demand.key);
  const launches = await Promise.all((record?.launchIds ?? []).map((id) => ledger.getLaunch(id)));
  const isMine = (launch: LaunchRecord | null): launch is LaunchRecord =>
    launch?.generation === demand.generation;
  return {
    launches: launches.filter(isMine),
    lacksCapacity: record?.waitsFor === WAITS_FOR_CAPACITY,
    emptyWalks: record?.notes.filter((note) => note.kind === "no-capacity").length ?? 0,
  };
}

/** Opened and never answered for certain: there may be a machine. */
export function findUnfinished(history: LaunchHistory): LaunchRecord | undefined {
  return history.launches.findLast((launch) => launch.state === "open");
}

/** Launches of one offering that are over: the next one there needs a new id. */
export function countEarlier(history: LaunchHistory, offeringIndex: number): number {
  return history.launches.filter((launch) => launch.offeringIndex === offeringIndex).length;
}

/** A launch that was answered and whose machine is not gone: it has a place, and another would need one of its own. */
export async function findLive(ledger: Ledger, history: LaunchHistory): Promise<LaunchRecord | undefined> {
  for (const launch of history.launches) {
    if (launch.state !== "launched") continue;
    const runners = await Promise.all(launch.runnerNames.map((name) => ledger.getRunner(name)));
    if (runners.some((runner) => runner && runner.step !== "gone")) return launch;
  }
  return undefined;
}
