import { type Demand, demandJobId } from "@grp/core";
import type { LaunchRecord, Ledger, Note, RunnerRecord } from "@grp/ledger";

/** A launch that was opened for this demand's place, maybe among others, and the runner that is this demand's there. */
export interface Tried {
  readonly launch: LaunchRecord;
  readonly runner: RunnerRecord | null;
}

/** What was tried for one demand and generation before, oldest first. */
export interface LaunchHistory {
  readonly tried: readonly Tried[];
  /** The last walk ended without room anywhere: the next begins at its first offering again. */
  readonly lacksCapacity: boolean;
  /** Walks that found no room anywhere, as far as the ledger's notes reach back. */
  readonly emptyWalks: number;
  readonly notes: readonly Note[];
}

/** Value of `waitsFor` while no offering has room. */
export const WAITS_FOR_CAPACITY = "capacity";

/** Value of `waitsFor` while its provider's rate limit is spent; the next try that opens a launch takes it back. */
export const WAITS_FOR_THROTTLE = "throttle";

export async function readHistory(ledger: Ledger, demand: Demand): Promise<LaunchHistory> {
  const record = await ledger.getWorkflowJob(demand.key);
  const holder = demandJobId(demand.key, demand.generation);
  const tried = await Promise.all((record?.launchIds ?? []).map((id) => readTried(ledger, id, holder)));
  return {
    tried: tried.filter((one) => one !== undefined),
    lacksCapacity: record?.waitsFor === WAITS_FOR_CAPACITY,
    emptyWalks: record?.notes.filter((note) => note.kind === "no-capacity").length ?? 0,
    notes: record?.notes ?? [],
  };
}

async function readTried(ledger: Ledger, launchId: string, placeHolder: string): Promise<Tried | undefined> {
  const launch = await ledger.getLaunch(launchId, { placeHolder });
  const name = launch?.runnerNames[launch.placeHolders.indexOf(placeHolder)];
  // Another generation's, or one that was opened for others in the end.
  if (!launch || name === undefined) return undefined;
  return { launch, runner: await ledger.getRunner(name) };
}

/** Opened and never answered for certain: there may be a machine. */
export function findUnfinished({ tried }: LaunchHistory): LaunchRecord | undefined {
  return tried.findLast(({ launch }) => launch.state === "open")?.launch;
}

/** Launches of one offering that are over: the next one there needs a new id. */
export function countEarlier({ tried }: LaunchHistory, offeringIndex: number): number {
  return tried.filter(({ launch }) => launch.offeringIndex === offeringIndex).length;
}

/** A launch that was answered with a machine for this demand that is not gone: it has a place, and another would need its own. */
export function findLive({ tried }: LaunchHistory): Tried | undefined {
  return tried.find(({ launch, runner }) => launch.state === "launched" && runner && runner.step !== "gone");
}
