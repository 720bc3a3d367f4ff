import { readCounts } from "@grp/ledger";
import type { ProviderCall } from "@grp/providers";
import { type Metrics, showState } from "@grp/runtime";
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
    unended: ({ provider, errorClass, code = "" }) =>
      metrics.failedTerminations.inc({ provider, error_class: errorClass, code }),
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

/** Reads the state gauges anew: queue depth and age, caps, rate limits, demand and supply, dead letters, warnings. */
export async function collectState(
  { ledger, producer, now }: Pick<WorkerContext, "ledger" | "producer" | "now">,
  metrics: Metrics,
): Promise<void> {
  const [counts, queues] = await Promise.all([readCounts(ledger, now()), producer.counts()]);
  showState(metrics, { ...counts, queues });
}
