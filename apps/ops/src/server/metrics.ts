import type { Metrics } from "@grp/runtime";
import type { OpsContext } from "./actions.ts";
import { readStatus } from "./status.ts";

/** Sets the state gauges from the ledger and the queues; called before each scrape. */
export async function collectState(context: OpsContext, metrics: Metrics): Promise<void> {
  const { caps, queues, classes, dead } = await readStatus(context);
  for (const { provider, state, count, oldestAgeMs } of queues) {
    metrics.queueJobs.set({ provider, state }, count);
    if (state === "waiting") metrics.queueOldestSeconds.set({ provider, state }, (oldestAgeMs ?? 0) / 1_000);
  }
  for (const { name: cap, used, limit, waiting } of caps) {
    metrics.capUsed.set({ cap }, used);
    metrics.capLimit.set({ cap }, limit);
    metrics.capWaiting.set({ cap }, waiting);
  }
  for (const { runnerClass, scope, demand, supply } of classes) {
    metrics.demand.set({ runner_class: runnerClass, scope }, demand);
    metrics.supply.set({ runner_class: runnerClass, scope }, supply);
  }
  metrics.deadLetters.set(dead);
}
