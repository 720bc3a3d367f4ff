import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** From a write to Redis (a millisecond) over a cold boot (a mac: tens of minutes) to the day that GitHub keeps a job queued. */
const requestBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10];
const callBuckets = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60];
const waitBuckets = [
  5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1_200, 1_800, 3_600, 7_200, 21_600, 86_400,
];

export type Metrics = ReturnType<typeof createMetrics>;

/** Every metric of grp, in a registry of its own. A process shows the ones it never touches as absent or zero. */
export function createMetrics({ app }: { readonly app: string }) {
  const registry = new Registry();
  registry.setDefaultLabels({ app });
  collectDefaultMetrics({ register: registry });
  const declare = declareIn(registry);
  return {
    registry,
    ...declareIngress(declare),
    ...declareWorker(declare),
    ...declareState(declare),
  };
}

function declareIngress({ counter, histogram }: Declare) {
  return {
    deliveries: counter("grp_deliveries_total", "Deliveries answered", ["event", "outcome", "reason"]),
    deliverySeconds: histogram("grp_delivery_seconds", "From delivery to answer", requestBuckets, [
      "outcome",
    ]),
    enqueueSeconds: histogram("grp_enqueue_seconds", "Time to put a demand into Redis", requestBuckets, []),
    claims: counter("grp_claims_total", "Claims answered", ["runner_class", "outcome"]),
    claimSeconds: histogram("grp_claim_seconds", "From claim to answer", callBuckets, ["outcome"]),
    reports: counter("grp_reports_total", "Reports of machines", ["phase", "outcome"]),
    queuedToClaimedSeconds: histogram(
      "grp_queued_to_claimed_seconds",
      "From GitHub's queued to the machine's claim",
      waitBuckets,
      ["runner_class"],
    ),
    queuedToRunningSeconds: histogram(
      "grp_queued_to_running_seconds",
      "From GitHub's queued to in_progress",
      waitBuckets,
      ["runner_class"],
    ),
  };
}

function declareWorker({ counter, histogram }: Declare) {
  return {
    launches: counter("grp_launches_total", "Launches by how they ended", [
      ...["provider", "runner_class", "outcome", "error_class", "code"],
    ]),
    launchSeconds: histogram(
      "grp_launch_seconds",
      "From GitHub's queued to the provider's answer",
      waitBuckets,
      ["provider", "runner_class"],
    ),
    providerCalls: counter("grp_provider_calls_total", "Calls to a provider", [
      ...["provider", "verb", "outcome", "error_class", "code"],
    ]),
    providerCallSeconds: histogram(
      "grp_provider_call_seconds",
      "Length of a call to a provider",
      callBuckets,
      ["provider", "verb"],
    ),
    failedDemands: counter("grp_failed_demands_total", "Demands that became dead letters", [
      ...["runner_class", "error_class", "code"],
    ]),
    failedTerminations: counter("grp_failed_terminations_total", "Machines that could not be ended", [
      ...["provider", "error_class", "code"],
    ]),
    reaped: counter("grp_reaped_total", "Machines ended by us", ["provider", "reason"]),
    sweeps: counter("grp_sweeps_total", "Runs of a sweep rule", ["rule", "outcome"]),
    recovered: counter("grp_recovered_total", "Deliveries sent again, and workflow jobs found without one", [
      "how",
    ]),
    sweepSeconds: histogram("grp_sweep_seconds", "Length of a whole sweep", callBuckets, []),
  };
}

function declareState({ counter, gauge }: Declare) {
  return {
    queueJobs: gauge("grp_queue_jobs", "Jobs in a queue", ["provider", "state"]),
    queueOldestSeconds: gauge("grp_queue_oldest_seconds", "Age of the oldest job", ["provider", "state"]),
    capUsed: gauge("grp_cap_used", "Places taken under a cap", ["cap"]),
    capLimit: gauge("grp_cap_limit", "Places under a cap", ["cap"]),
    capWaiting: gauge("grp_cap_waiting", "Demands in line for a place", ["cap"]),
    rateLimitUsed: gauge(
      "grp_rate_limit_used",
      "Points spent at GitHub (requests at CodeMagic) in the last window",
      ["limit"],
    ),
    rateLimitPoints: gauge("grp_rate_limit_points", "Points (or requests) that may be spent in a window", [
      "limit",
    ]),
    rateLimitWaiting: gauge("grp_rate_limit_waiting", "Machines in line for points", ["limit"]),
    rateLimitPausedSeconds: gauge("grp_rate_limit_paused_seconds", "Until requests are taken again", [
      "limit",
    ]),
    rateLimitHourLeft: gauge("grp_rate_limit_hour_left", "Requests that are still taken in this hour", [
      "limit",
    ]),
    demand: gauge("grp_demand", "Workflow jobs queued and not started", ["runner_class", "scope"]),
    demandOldestSeconds: gauge("grp_demand_oldest_seconds", "Age of the workflow job that waits longest", [
      "runner_class",
      "scope",
    ]),
    supply: gauge("grp_supply", "Launches under way, machines booting and idle runners", [
      "runner_class",
      "scope",
    ]),
    deadLetters: gauge("grp_dead_letters", "Dead letters that wait for a person", []),
    warnings: gauge("grp_warnings", "What a person should look at before it fails", ["kind"]),
    lastSweepSeconds: gauge("grp_last_sweep_seconds", "Since a sweep last came to its end", []),
    collectErrors: counter("grp_collect_errors_total", "Times the state gauges could not be read", []),
  };
}

type Declare = ReturnType<typeof declareIn>;

function declareIn(registry: Registry) {
  const registers = [registry];
  return {
    counter: <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
      new Counter<L>({ name, help, labelNames, registers }),
    gauge: <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
      new Gauge<L>({ name, help, labelNames, registers }),
    histogram: <L extends string>(name: string, help: string, buckets: number[], labelNames: readonly L[]) =>
      new Histogram<L>({ name, help, buckets, labelNames, registers }),
  };
}
