import type { Metrics } from "./metrics.ts";

/** The whole installation at one moment; whoever has a ledger and a queue can read it. */
export interface State {
  readonly queues: readonly {
    readonly provider: string;
    readonly state: string;
    readonly count: number;
    readonly oldestAgeMs?: number;
  }[];
  readonly caps: readonly {
    readonly name: string;
    readonly limit: number;
    readonly used: number;
    readonly waiting: number;
  }[];
  readonly rateLimits: readonly {
    readonly name: string;
    readonly limit: number;
    readonly used: number;
    readonly waiting: number;
    readonly pausedMs: number;
    readonly left?: number;
  }[];
  readonly classes: readonly {
    readonly runnerClass: string;
    readonly scope: string;
    readonly demand: number;
    readonly supply: number;
  }[];
  readonly oldest: readonly {
    readonly runnerClass: string;
    readonly scope: string;
    readonly ageMs: number;
  }[];
  readonly dead: number;
  readonly warnings: readonly { readonly kind: string }[];
  /** Since the last sweep's end; undefined when none is known. */
  readonly sweepAgeMs?: number | undefined;
}

/**
 * Sets the state gauges. Worker and ops both show them, so that they outlive either; they say the same, so take their
 * maximum, never their sum.
 */
export function showState(metrics: Metrics, state: State): void {
  showWork(metrics, state);
  showRateLimits(metrics, state);
  metrics.deadLetters.set(state.dead);
  metrics.warnings.reset();
  for (const { kind } of state.warnings) metrics.warnings.inc({ kind });
  if (state.sweepAgeMs === undefined) metrics.lastSweepSeconds.remove();
  else metrics.lastSweepSeconds.set(state.sweepAgeMs / 1_000);
}

function showRateLimits(metrics: Metrics, { rateLimits }: State): void {
  const { rateLimitUsed, rateLimitPoints, rateLimitWaiting, rateLimitPausedSeconds, rateLimitHourLeft } =
    metrics;
  const gauges = [
    ...[rateLimitUsed, rateLimitPoints, rateLimitWaiting],
    ...[rateLimitPausedSeconds, rateLimitHourLeft],
  ];
  for (const gauge of gauges) gauge.reset();
  for (const { name, used, limit: points, waiting, pausedMs, left } of rateLimits) {
    const labels = { limit: name };
    rateLimitUsed.set(labels, used);
    rateLimitPoints.set(labels, points);
    rateLimitWaiting.set(labels, waiting);
    rateLimitPausedSeconds.set(labels, pausedMs / 1_000);
    if (left !== undefined) rateLimitHourLeft.set(labels, left);
  }
}

function showWork(metrics: Metrics, { queues, caps, classes, oldest }: State): void {
  for (const { provider, state, count, oldestAgeMs = 0 } of queues) {
    metrics.queueJobs.set({ provider, state }, count);
    if (state === "waiting") metrics.queueOldestSeconds.set({ provider, state }, oldestAgeMs / 1_000);
  }
  // What is empty is not listed any more: it must not keep its last value.
  for (const gauge of [metrics.capLimit, metrics.capUsed, metrics.capWaiting]) gauge.reset();
  for (const gauge of [metrics.demand, metrics.supply, metrics.demandOldestSeconds]) gauge.reset();
  for (const { name: cap, limit, used, waiting } of caps) {
    metrics.capLimit.set({ cap }, limit);
    metrics.capUsed.set({ cap }, used);
    metrics.capWaiting.set({ cap }, waiting);
  }
  for (const { runnerClass, scope, demand, supply } of classes) {
    metrics.demand.set({ runner_class: runnerClass, scope }, demand);
    metrics.supply.set({ runner_class: runnerClass, scope }, supply);
  }
  for (const { runnerClass, scope, ageMs } of oldest)
    metrics.demandOldestSeconds.set({ runner_class: runnerClass, scope }, ageMs / 1_000);
}
