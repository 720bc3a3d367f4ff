import { setTimeout as sleep } from "node:timers/promises";
import type { StandInWorkflowJob } from "../../packages/sandbox/src/index.ts";
import type { Stack } from "../../packages/sandbox/src/stack/index.ts";
import {
  describeRecovery,
  describeRest,
  describeWaits,
  drawTimeline,
  type Feed,
  type Findings,
  feed,
  inSeconds,
  openStack,
  renderCatalog,
  untilServed,
} from "./harness.ts";

const OUTAGE_MS = 60_000;
/** Before the outage and after it. */
const CALM_MS = 10_000;
const MARKS_S = [5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1_200];

interface Outage {
  readonly feed: Omit<Feed, "forMs">;
  begin(stack: Stack): Promise<unknown>;
  end(stack: Stack): Promise<unknown>;
  /** For the last job to be served, after the outage. */
  readonly limitMs: number;
}

/** Something is away for a minute while jobs keep coming. */
async function sufferOutage(outage: Outage): Promise<Findings> {
  const stack = await openStack({ runners: renderCatalog({ maxRunners: 2_000 }) });
  try {
    const fed = feed(stack, { ...outage.feed, forMs: CALM_MS + OUTAGE_MS + CALM_MS });
    await sleep(CALM_MS);
    const from = Date.now();
    await outage.begin(stack);
    await sleep(OUTAGE_MS);
    const until = Date.now();
    await outage.end(stack);
    const backMs = Date.now() - until;
    const jobs = await fed;
    await untilServed(stack, jobs.length, outage.limitMs);
    return [
      ["jobs", `${jobs.length}, ${outage.feed.perSecond} a second`],
      ["back and ready after", inSeconds(backMs)],
      ...describeOutage(jobs, from, until),
      ["recovered", describeRecovery(stack)],
      [
        "deliveries refused or lost",
        String(stack.sandbox.github.deliveries.filter(({ statusCode }) => statusCode >= 400).length),
      ],
      ...describeRest(stack),
    ];
  } finally {
    await stack.stop();
  }
}

function describeOutage(jobs: readonly StandInWorkflowJob[], from: number, until: number): Findings {
  const during = jobs.filter(({ queuedAt }) => queuedAt >= from && queuedAt < until);
  const last = Math.max(...jobs.map(({ startedAt = Number.POSITIVE_INFINITY }) => startedAt));
  return [
    ["queued before the outage", describeWaits(jobs.filter(({ queuedAt }) => queuedAt < from))],
    ["queued during the outage", describeWaits(during)],
    ["queued after the outage", describeWaits(jobs.filter(({ queuedAt }) => queuedAt >= until))],
    ["of those of the outage, started after its end by", drawTimeline(during, until, MARKS_S)],
    ["the last of all started, after the outage's end", inSeconds(last - until)],
  ];
}

/** GitHub never tries again by itself: each of these deliveries must be asked for again. */
export const redisDown = () =>
  sufferOutage({
    feed: { label: "linux", perSecond: 20 },
    begin: ({ redis }) => redis.kill(),
    end: ({ redis }) => redis.restart(),
    limitMs: 20 * 60_000,
  });

export const workersDead = () =>
  sufferOutage({
    feed: { label: "linux", perSecond: 2 },
    begin: ({ workers }) => Promise.all(workers.map((worker) => worker.kill())),
    end: ({ workers }) => Promise.all(workers.map((worker) => worker.restart())),
    limitMs: 5 * 60_000,
  });

export const ingressDead = () =>
  sufferOutage({
    feed: { label: "linux", perSecond: 2 },
    begin: ({ ingress }) => Promise.all(ingress.map((one) => one.kill())),
    end: ({ ingress }) => Promise.all(ingress.map((one) => one.restart())),
    limitMs: 10 * 60_000,
  });
