import type { Catalog, Offering, RunnerClass } from "@grp/core";
import type { Cap, Waiter } from "@grp/ledger";
import type { WorkerContext } from "./context.ts";

/** A machine holds its place from before its launch until its provider says it is gone; this is what outlives it. */
const PLACE_SLACK_MS = 3_600_000;

/** What a machine of this offering counts against. */
export function capsOf(catalog: Catalog, runnerClass: RunnerClass, offering: Offering): readonly Cap[] {
  const caps = [{ name: `class:${runnerClass.name}`, limit: runnerClass.maxRunners }];
  if (offering.provider !== "codemagic") return caps;
  const limit = catalog.codemagicTeams[offering.team]?.maxConcurrentBuilds ?? 1;
  return [...caps, { name: `codemagic:${offering.team}`, limit }];
}

/** Beyond it no machine of the class can live: a place that nobody gave back frees itself. */
export function placeTtlMs(runnerClass: RunnerClass): number {
  return runnerClass.bootTimeout + runnerClass.idleTimeout + runnerClass.maxRuntime + PLACE_SLACK_MS;
}

/** Gives the holder's places back (or its turn in the line) and starts those who were granted one by it. */
export async function releasePlace(context: WorkerContext, holder: string): Promise<void> {
  await wakeAll(context, await context.ledger.releasePlace(holder, context.now()));
}

/** A waiter that can't be woken now comes by itself within its delay. */
async function wakeAll(context: WorkerContext, waiters: readonly Waiter[]): Promise<void> {
  await Promise.allSettled(waiters.map((waiter) => context.producer.wake(waiter.provider, waiter.holder)));
}
