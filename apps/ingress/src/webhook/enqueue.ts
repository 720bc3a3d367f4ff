import type { Demand, RunnerClass } from "@grp/core";
import type { DeliveryAnswer, IngressContext } from "../context.ts";

/**
 * Written down and put into the queue in one go, and 202 is said when Redis has both. May be repeated: what is enqueued
 * already, has begun or is given up is not enqueued.
 */
export async function enqueue(
  context: IngressContext,
  demand: Demand,
  runnerClass: RunnerClass,
): Promise<DeliveryAnswer> {
  const begun = performance.now();
  const { key } = demand;
  const entry = context.producer.composeEntry(demand, firstProvider(runnerClass));
  const known = await context.ledger.recordQueued(demand, entry);
  if (known.state !== "queued")
    return { status: 200, body: { outcome: "ignored", reason: "already-started", key, state: known.state } };
  if (known.isEnqueued)
    return { status: 200, body: { outcome: "duplicate", key, runnerClass: runnerClass.name } };
  // A dead letter, or dismissed, that was never enqueued.
  if (known.demandState !== "waiting")
    return { status: 200, body: { outcome: "ignored", reason: known.demandState, key } };
  const enqueueMs = Math.round((performance.now() - begun) * 10) / 10;
  context.metrics.enqueueSeconds.observe(enqueueMs / 1_000);
  return {
    status: 202,
    body: { outcome: "enqueued", key, runnerClass: runnerClass.name },
    fields: { enqueueMs },
  };
}

/** A dry run goes the same way through the queue, under a key of its own, and never counts as demand. */
export async function planOnly(
  context: IngressContext,
  demand: Demand,
  runnerClass: RunnerClass,
): Promise<DeliveryAnswer> {
  const { key } = demand;
  await context.producer.enqueueDemand(demand, firstProvider(runnerClass));
  return { status: 202, body: { outcome: "enqueued", key, runnerClass: runnerClass.name, dryRun: true } };
}

function firstProvider(runnerClass: RunnerClass) {
  const [offering] = runnerClass.offerings;
  // The catalog's schema asks for one at least.
  if (!offering) throw new Error(`runner class ${runnerClass.name} has no offering`);
  return offering.provider;
}
