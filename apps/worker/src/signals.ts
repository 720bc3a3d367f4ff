import type { ProviderCall } from "@grp/providers";
import type { Metrics } from "@grp/runtime";
import type { WorkerContext, WorkerMetrics } from "./context.ts";

/** The worker's events as Prometheus counts them. */
export function createWorkerMetrics(metrics: Metrics): WorkerMetrics {
  return {
    provisioned: ({ provider, runnerClass, outcome, errorClass = "", code = "" }) =>
      metrics.launches.inc({ provider, runner_class: runnerClass, outcome, error_class: errorClass, code }),
    launchLatency: ({ provider, runnerClass, ms }) =>
      metrics.launchSeconds.observe({ provider, runner_class: runnerClass }, ms / 1_000),
    reaped: ({ provider, reason }) => metrics.reaped.inc({ provider, reason }),
    failed: ({ runnerClass, errorClass, code = "" }) =>
      metrics.failedDemands.inc({ runner_class: runnerClass, error_class: errorClass, code }),
    swept: ({ rule, outcome }) => metrics.sweeps.inc({ rule, outcome }),
    sweepDuration: (ms) => metrics.sweepSeconds.observe(ms / 1_000),
    recovered: ({ how, count }) => metrics.recovered.inc({ how }, count),
  };
}

/** For `metered`: every call to a provider. */
export function observeCalls(metrics: Metrics): (call: ProviderCall) => void {
  return ({ provider, verb, outcome, errorClass = "", code = "", durationMs }) => {
    metrics.providerCalls.inc({ provider, verb, outcome, error_class: errorClass, code });
    metrics.providerCallSeconds.observe({ provider, verb }, durationMs / 1_000);
  };
}

/** Reads the state gauges anew: queue depth and age, caps, demand and supply, dead letters. */
export async function collectState(
  { ledger, producer }: Pick<WorkerContext, "ledger" | "producer">,
  metrics: Metrics,
): Promise<void> {
  const [queues, caps, counts, dead] = await Promise.all([
    producer.counts(),
    ledger.listCaps(),
    ledger.countByClass(),
    ledger.listDead(MOST_DEAD),
  ]);
  for (const { provider, state, count, oldestAgeMs = 0 } of queues) {
    metrics.queueJobs.set({ provider, state }, count);
    if (state === "waiting") metrics.queueOldestSeconds.set({ provider, state }, oldestAgeMs / 1_000);
  }
  for (const { name: cap, limit, used, waiting } of caps) {
    metrics.capLimit.set({ cap }, limit);
    metrics.capUsed.set({ cap }, used);
    metrics.capWaiting.set({ cap }, waiting);
  }
  // A pool that is empty is not listed any more: it must not keep its last value.
  metrics.demand.reset();
  metrics.supply.reset();
  for (const { runnerClass, scope, demand, supply } of counts) {
    metrics.demand.set({ runner_class: runnerClass, scope }, demand);
    metrics.supply.set({ runner_class: runnerClass, scope }, supply);
  }
  metrics.deadLetters.set(dead.length);
}

/** Beyond that many the number itself tells nothing more. */
const MOST_DEAD = 1_000;
