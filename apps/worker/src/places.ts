import type { Catalog, Demand, Offering, RunnerClass } from "@grp/core";
import type { Cap, Waiter } from "@grp/ledger";
import type { WorkerContext } from "./context.ts";

/** A machine holds its place from before its launch until its provider says it is gone; this is what outlives it. */
const PLACE_SLACK_MS = 3_600_000;

/**
 * What a machine of this offering counts against, the narrowest kind first: who waits is told of the narrowest that is
 * full.
 */
export function capsOf(
  catalog: Catalog,
  runnerClass: RunnerClass,
  { offering, demand }: { readonly offering: Offering; readonly demand: Demand },
): readonly Cap[] {
  const repository = flowOf(demand);
  const owner = demand.owner.toLowerCase();
  const team = offering.provider === "codemagic" ? offering.team : undefined;
  const caps: readonly (readonly [name: string, limit: number | undefined])[] = [
    [`class:${runnerClass.name}|${repository}`, runnerClass.maxRunnersPerRepository],
    [`repository:${repository}`, catalog.maxRunnersPerRepository],
    [`owner:${owner}`, catalog.maxRunnersPerOwner],
    [`class:${runnerClass.name}`, runnerClass.maxRunners],
    [
      teamCapOf(offering) ?? "",
      team === undefined ? team : (catalog.codemagicTeams[team]?.maxConcurrentBuilds ?? 1),
    ],
  ];
  return caps.flatMap(([name, limit]) => (typeof limit === "number" ? [{ name, limit }] : []));
}

/** The cap of the offering's provider alone, under which no other provider's machines are. */
export function teamCapOf(offering: Offering): string | undefined {
  return offering.provider === "codemagic" ? `codemagic:${offering.team}` : undefined;
}

/** Repositories are served in turn, however many workflow jobs of one wait. */
export function flowOf({ owner, repository }: Demand): string {
  return `${owner}/${repository}`.toLowerCase();
}

/** Beyond it no machine of the class can live: a place that nobody gave back frees itself. */
export function placeTtlMs(runnerClass: RunnerClass): number {
  return runnerClass.bootTimeout + runnerClass.idleTimeout + runnerClass.maxRuntime + PLACE_SLACK_MS;
}

/** Gives the holder's places back (or its place in the line) and starts those who were granted one by it. */
export async function releasePlace(
  context: WorkerContext,
  holder: string,
  options?: { readonly comesBack: boolean },
): Promise<void> {
  await wakeAll(context, await context.ledger.releasePlace(holder, context.now(), options));
}

/** A waiter that can't be woken now comes by itself within its delay. */
async function wakeAll(context: WorkerContext, waiters: readonly Waiter[]): Promise<void> {
  await Promise.allSettled(waiters.map((waiter) => context.producer.wake(waiter.provider, waiter.holder)));
}
