import { type Demand, demandJobId } from "@grp/core";
import type { DemandState, LaunchRecord, Ledger, Note, RunnerRecord } from "@grp/ledger";
import { countEmptyWalks } from "./setbacks.ts";

/** A launch that was opened for this demand's place, maybe among others, and the runner that is this demand's there. */
export interface Tried {
  readonly launch: LaunchRecord;
  readonly runner: RunnerRecord | null;
}

/** What was tried for one demand and generation before, and where it stands now. */
export interface LaunchHistory {
  /** Oldest first. */
  readonly tried: readonly Tried[];
  readonly demandState: DemandState;
  /** Machines on their way and idle already meet the workflow jobs that wait, for its class and scope. */
  readonly isCovered: boolean;
  /** The last walk ended without room anywhere: the next begins at its first offering again. */
  readonly lacksCapacity: boolean;
  /** Walks that found no room anywhere since a person last asked for another try, as far as the ledger's notes reach back. */
  readonly emptyWalks: number;
  readonly notes: readonly Note[];
}

/** Value of `waitsFor` while no offering has room. */
export const WAITS_FOR_CAPACITY = "capacity";

/** … and one of them must wait for a dedicated host. */
export const WAITS_FOR_HOST = "host";

/** Value of `waitsFor` while its provider's rate limit is spent; taken back when a launch is opened or answered. */
export const WAITS_FOR_THROTTLE = "throttle";

/** Value of `waitsFor` of one that has no machine of its own: a sibling's meets it. The next launch for it takes it back. */
export const WAITS_FOR_SIBLING = "covered";

/** Begins the value of `waitsFor`, also of one that is laid aside, until a provider's published limits leave room for its launch; the provider follows. */
export const WAITS_FOR_BUDGET = "budget";

/** Begins the value of `waitsFor` of one that is laid aside because the call before it is long in being answered; the provider follows. */
export const WAITS_FOR_ANSWER = "answer";

export async function readHistory(ledger: Ledger, demand: Demand): Promise<LaunchHistory> {
  const { demandState, isCovered, launchIds, waitsFor, notes } = await ledger.takeUp(demand);
  const holder = demandJobId(demand.key, demand.generation);
  const tried = await Promise.all(launchIds.map((id) => readTried(ledger, id, holder)));
  return {
    tried: tried.filter((one) => one !== undefined),
    demandState,
    isCovered,
    lacksCapacity: waitsFor === WAITS_FOR_CAPACITY || waitsFor === WAITS_FOR_HOST,
    emptyWalks: countEmptyWalks(notes),
    notes,
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
export function countEarlier({ tried }: LaunchHistory, offeringDigest: string): number {
  return tried.filter(({ launch }) => launch.offeringDigest === offeringDigest).length;
}

/** A launch that was answered with a machine for this demand that is not gone: it has a place, and another would need its own. */
export function findLive({ tried }: LaunchHistory): Tried | undefined {
  return tried.find(({ launch, runner }) => launch.state === "launched" && runner && runner.step !== "gone");
}
