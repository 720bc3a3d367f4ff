import { type Demand, demandJobId, type ProviderName } from "@grp/core";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { connectRedis, settleWithin, whenReady } from "./connection.ts";
import { PROVIDERS, QUEUE_PREFIX, queueName, terminationJobId } from "./names.ts";
import { JOB_OPTIONS } from "./retry-policy.ts";
import { type QueueProducer, type QueueProducerOptions, QueueUnavailableError } from "./types.ts";
import { wakeMark } from "./wake.ts";

/** States in which a job waits for its turn and may be taken away. */
const WAITING = ["waiting", "delayed", "prioritized"];
const FINISHED = ["completed", "failed"];
const COUNTED = ["waiting", "active", "delayed", "completed", "failed"] as const;

type Queues = Readonly<Record<ProviderName, Queue>>;

/** Puts work into Redis; see `QueueProducer`. Connects in the background and for ever. */
export function createQueueProducer(options: QueueProducerOptions): QueueProducer {
  const { deadlineMs } = options;
  const client = connectRedis(options.redisUrl, options.onError, {
    // Without it, calls would pile up in memory during an outage and all land after it.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: deadlineMs,
  });
  const queues = openQueues(client);
  const bounded = boundCalls(client, deadlineMs);
  return {
    enqueueDemand: (demand, provider, wish) =>
      bounded(() => addDemand(queues[provider], demand, wish?.delayMs ?? 0)),
    enqueueTermination: (termination, wish) =>
      bounded(async () => {
        const queue = queues[termination.provider];
        const jobId = terminationJobId(termination.runnerName);
        await removeIn(queue, jobId, FINISHED);
        await queue.add("terminate", termination, { ...JOB_OPTIONS, jobId, delay: wish?.delayMs ?? 0 });
      }),
    wake: (provider, jobId) => bounded(() => wake(client, queues[provider], jobId)),
    withdraw: (provider, jobId) => bounded(() => removeIn(queues[provider], jobId, WAITING)),
    isUnderWay: (provider, jobId) =>
      bounded(async () => [...WAITING, "active"].includes(await queues[provider].getJobState(jobId))),
    retry: (demand, provider) =>
      bounded(async () => {
        const queue = queues[provider];
        const jobId = demandJobId(demand.key, demand.generation);
        if ((await queue.getJobState(jobId)) === "active")
          throw new Error(`${jobId} is under way: try again`);
        await removeIn(queue, jobId, [...FINISHED, "delayed"]);
        await queue.add("provision", demand, { ...JOB_OPTIONS, jobId });
      }),
    counts: () =>
      bounded(async () =>
        (await Promise.all(PROVIDERS.map((name) => countStates(name, queues[name])))).flat(),
      ),
    async isReady() {
      return bounded(() => client.ping()).then(
        () => true,
        () => false,
      );
    },
    async close() {
      // The connection is ours, so these only detach listeners; bounded all the same.
      await settleWithin(deadlineMs, Promise.allSettled(PROVIDERS.map((name) => queues[name].close())));
      client.disconnect();
    },
  };
}

function openQueues(connection: Redis): Queues {
  const open: Partial<Record<ProviderName, Queue>> = {};
  const openQueue = (provider: ProviderName) => {
    const queue = new Queue(queueName(provider), { connection, prefix: QUEUE_PREFIX });
    // The same errors reach `onError` from the client itself, once per outage.
    queue.on("error", () => undefined);
    // BullMQ asks Redis for its version once, and refuses every call for good if that one answer was lost.
    queue.waitUntilReady().catch(() => {
      if (open[provider] === queue) delete open[provider];
      queue.close().catch(() => undefined);
    });
    return queue;
  };
  const get = (provider: ProviderName) => (open[provider] ??= openQueue(provider));
  for (const provider of PROVIDERS) get(provider);
  return {
    get ec2() {
      return get("ec2");
    },
    get codemagic() {
      return get("codemagic");
    },
  };
}

/**
 * Every call ends within the deadline: never connected (BullMQ would wait for ever), frozen, full. A peer that has been
 * silent for three deadlines is given up and dialled again, since a dead TCP connection can look alive for minutes.
 */
function boundCalls(client: Redis, deadlineMs: number) {
  let lastAnswerAt = Date.now();
  return async function bounded<T>(call: () => Promise<T>): Promise<T> {
    const gaveUp = new AbortController();
    const run = async () => {
      await whenReady(client, gaveUp.signal);
      gaveUp.signal.throwIfAborted();
      return call();
    };
    try {
      const settled = await settleWithin(deadlineMs, run());
      if (settled.done) {
        lastAnswerAt = Date.now();
        return settled.value;
      }
    } catch (error) {
      throw new QueueUnavailableError(`Redis refused: ${error instanceof Error ? error.message : "?"}`, {
        cause: error,
      });
    } finally {
      gaveUp.abort();
    }
    const isSilent = Date.now() - lastAnswerAt > 3 * deadlineMs;
    if (isSilent && client.status === "ready") client.disconnect(true);
    throw new QueueUnavailableError(`no answer from Redis within ${deadlineMs} ms`);
  };
}

async function addDemand(queue: Queue, demand: Demand, delayMs: number): Promise<void> {
  const jobId = demandJobId(demand.key, demand.generation);
  if (demand.offeringIndex > 0) await makeRoomForLaterOffering(queue, jobId, demand.offeringIndex);
  await queue.add("provision", demand, { ...JOB_OPTIONS, jobId, delay: delayMs });
}

/** A demand that went from this queue to another provider and now comes back must not be taken for a duplicate. */
async function makeRoomForLaterOffering(queue: Queue, jobId: string, offeringIndex: number): Promise<void> {
  const earlier = await queue.getJob(jobId);
  const before: unknown = earlier?.data?.offeringIndex;
  if (typeof before !== "number" || before >= offeringIndex) return;
  if ((await earlier?.getState()) === "active")
    throw new Error(`${jobId} is still under way here: try again`);
  await removeIn(queue, jobId, ["completed"]);
}

/** True when it was there in one of the states and is gone now. */
async function removeIn(queue: Queue, jobId: string, states: readonly string[]): Promise<boolean> {
  const state = await queue.getJobState(jobId);
  if (!states.includes(state)) return false;
  // 0: a worker took it in between and holds its lock.
  return (await queue.remove(jobId)) === 1;
}

async function wake(client: Redis, queue: Queue, jobId: string): Promise<void> {
  // First the mark: a worker that is just laying the job aside looks for it afterwards (see wake.ts).
  const mark = wakeMark(queue.name, jobId);
  await client.set(mark, "1", "PX", 60_000);
  const queueJob = await queue.getJob(jobId);
  if (!queueJob) return void (await client.del(mark));
  if (!(await queueJob.isDelayed())) return;
  await queueJob.promote().catch(async (error: unknown) => {
    if (await queueJob.isDelayed()) throw error;
  });
  await client.del(mark);
}

async function countStates(provider: ProviderName, queue: Queue) {
  const counts = await queue.getJobCounts(...COUNTED);
  const [oldest] = await queue.getJobs(["waiting"], 0, 0, true);
  return COUNTED.map((state) => ({
    provider,
    state,
    count: counts[state] ?? 0,
    ...(state === "waiting" && oldest ? { oldestAgeMs: Math.max(0, Date.now() - oldest.timestamp) } : {}),
  }));
}
