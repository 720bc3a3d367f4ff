import { type Demand, demandJobId, type RunnerClass } from "@grp/core";
import type { DeliveryAnswer, IngressContext } from "../context.ts";
import { withdraw } from "./withdraw.ts";

/**
 * Ledger and queue are asked in the same turn, and 202 is said when both have it: at a thousand deliveries a second, to
 * wake up once more costs more than the work. Every step may be repeated. A crash in between leaves one of them: a
 * record that the next delivery of the same job, or the sweep, enqueues; or a queue job whose record the worker writes.
 * A job that has begun or was cancelled is taken out of the queue again, and so is one that another provider's queue
 * had. Nobody waits for the mark that it is enqueued: when that is lost, the job is only enqueued once more, which
 * changes nothing.
 */
export async function enqueue(
  context: IngressContext,
  demand: Demand,
  runnerClass: RunnerClass,
): Promise<DeliveryAnswer> {
  const begun = performance.now();
  const { key } = demand;
  const provider = firstProvider(runnerClass);
  const [known] = await Promise.all([
    context.ledger.recordQueued(demand),
    context.producer.enqueueDemand(demand, provider),
  ]);
  if (known.state !== "queued" || known.demandState === "cancelled") {
    await takeBack(context, demand);
    return { status: 200, body: { outcome: "ignored", reason: "already-started", key, state: known.state } };
  }
  // Sent again after its class went to another provider: that one's queue has it.
  const mayBeDouble = !known.isNew && known.queue !== provider;
  const isDouble = mayBeDouble && (await context.producer.dropDouble(demand, provider));
  if (known.isEnqueued || isDouble)
    return { status: 200, body: { outcome: "duplicate", key, runnerClass: runnerClass.name } };
  context.ledger.markEnqueuedSoon(key, { at: context.now(), provider }).catch((error: unknown) => {
    context.log.warn("demand.markLost", { key, error });
  });
  const enqueueMs = Math.round((performance.now() - begun) * 10) / 10;
  context.metrics.enqueueSeconds.observe(enqueueMs / 1_000);
  return {
    status: 202,
    body: { outcome: "enqueued", key, runnerClass: runnerClass.name },
    fields: { enqueueMs },
  };
}

/** A worker may have been quicker, and have put it in line for a place. */
async function takeBack(context: IngressContext, { key, generation }: Demand): Promise<void> {
  const { launchIds = [] } = (await context.ledger.getWorkflowJob(key)) ?? {};
  await withdraw(context, { jobId: demandJobId(key, generation), launchIds });
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
