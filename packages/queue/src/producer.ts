import { type Demand, demandJobId, type ProviderName, ProvisionError, TransientError } from "@grp/core";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { createComposer } from "./compose.ts";
import { connectRedis, QUEUE_SETTINGS, settleWithin, whenReady } from "./connection.ts";
import { PROVIDERS, queueName, terminationJobId } from "./names.ts";
import { demandOptions, JOB_OPTIONS, OPEN_LIMITER } from "./retry-policy.ts";
import {
  type QueueCount,
  type QueueProducer,
  type QueueProducerOptions,
  QueueUnavailableError,
} from "./types.ts";
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
    // A dead TCP connection can look alive for minutes.
    socketTimeout: 3 * deadlineMs,
    // No commandTimeout: every call is bounded as a whole, and a timer for each of its commands costs as much again.
  });
  const queues = openQueues(client);
  const bounded = boundCalls(client, deadlineMs);
  const compose = createComposer();
  return {
    composeEntry: (demand, provider) => compose({ queue: queues[provider], demand, provider }),
    enqueueDemand: (demand, provider) =>
      bounded(async () => {
        const queue = queues[provider];
        if (demand.offeringIndex > 0) await makeRoomForLaterOffering(queue, demand);
        await queue.add("provision", demand, demandOptions(demand));
      }),
    enqueueTermination: (termination, wish) =>
      bounded(async () => {
        const queue = queues[termination.provider];
        const jobId = terminationJobId(termination.runnerName);
        await removeIn(queue, jobId, FINISHED);
        // Ahead of all launches that wait, unless it is put off: each minute later costs money, and it needs nothing that they
        // wait for. BullMQ puts one that was put off behind those that wait then; a worker takes them in moments.
        const options = { ...JOB_OPTIONS, jobId, lifo: true, delay: wish?.delayMs ?? 0 };
        await queue.add("terminate", termination, options);
      }),
    wake: (provider, jobId) => bounded(() => wake(client, queues[provider], jobId)),
    withdraw: (provider, jobId) => bounded(() => removeIn(queues[provider], jobId, WAITING)),
    isInHand: (provider, jobId) =>
      bounded(async () => (await queues[provider].getJobState(jobId)) === "active"),
    isUnderWay: (provider, jobId) =>
      bounded(async () => [...WAITING, "active"].includes(await queues[provider].getJobState(jobId))),
    retry: (demand, provider) =>
      bounded(async () => {
        const queue = queues[provider];
        const jobId = demandJobId(demand.key, demand.generation);
        if ((await queue.getJobState(jobId)) === "active") throw underWay(jobId);
        await removeIn(queue, jobId, [...FINISHED, "delayed"]);
        await queue.add("provision", demand, demandOptions(demand));
      }),
    counts: () =>
      bounded(async () =>
        (await Promise.all(PROVIDERS.map((name) => countStates(client, name, queues[name])))).flat(),
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
  const open = (provider: ProviderName) => {
    const queue = new Queue(queueName(provider), { connection, ...QUEUE_SETTINGS });
    // The same errors reach `onError` from the client itself, once per outage.
    queue.on("error", () => undefined);
    return queue;
  };
  return { ec2: open("ec2"), codemagic: open("codemagic") };
}

/** Every call ends within the deadline: never connected (BullMQ would wait for ever), frozen, full. */
function boundCalls(client: Redis, deadlineMs: number) {
  /** `call` is told by its signal when nobody waits for it any more. */
  return async function bounded<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const gaveUp = new AbortController();
    const { signal } = gaveUp;
    const run = async () => {
      await whenReady(client, signal);
      signal.throwIfAborted();
      return call(signal);
    };
    const settled = await settleWithin(deadlineMs, run()).catch((error: unknown) => {
      throw asUnavailable(error);
    });
    if (settled.done) return settled.value;
    gaveUp.abort();
    throw new QueueUnavailableError(`no answer from Redis within ${deadlineMs} ms`);
  };
}

function asUnavailable(cause: unknown): Error {
  if (cause instanceof ProvisionError) return cause;
  return new QueueUnavailableError(`Redis refused: ${cause instanceof Error ? cause.message : "?"}`, {
    cause,
  });
}

/** It passes: the worker that has it in hand is done with it soon. */
function underWay(jobId: string): TransientError {
  return new TransientError(`${jobId} is under way in that queue: try again`, { code: "under_way" });
}

/** A demand that went from this queue to another provider and now comes back must not be taken for a duplicate. */
async function makeRoomForLaterOffering(queue: Queue, demand: Demand): Promise<void> {
  const jobId = demandJobId(demand.key, demand.generation);
  const earlier = await queue.getJob(jobId);
  const before: unknown = earlier?.data?.offeringIndex;
  if (typeof before !== "number" || before >= demand.offeringIndex) return;
  if ((await earlier?.getState()) === "active") throw underWay(jobId);
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

/** BullMQ's score of a job with a priority: this many times the priority, and a counter below it. */
const PER_PRIORITY = 2 ** 32;

/** When the oldest came of those whose turn it is: the first of each priority, for those come in the order of their arrival. */
async function oldestWaitingSince(client: Redis, queue: Queue): Promise<number | undefined> {
  const heads = await queue.getJobs(["waiting"], 0, 0, true);
  for (let priority = 1; ; ) {
    const least = priority * PER_PRIORITY;
    const [jobId, score] = await client.zrange(
      ...([queue.toKey("prioritized"), least, "+inf", "BYSCORE", "LIMIT", 0, 1, "WITHSCORES"] as const),
    );
    if (jobId === undefined) break;
    const head = await queue.getJob(jobId);
    if (head) heads.push(head);
    priority = Math.floor(Number(score) / PER_PRIORITY) + 1;
  }
  return heads.length === 0 ? undefined : Math.min(...heads.map(({ timestamp }) => timestamp));
}

async function countStates(
  client: Redis,
  provider: ProviderName,
  queue: Queue,
): Promise<readonly QueueCount[]> {
  const { prioritized = 0, ...counts } = await queue.getJobCounts(...COUNTED, "prioritized");
  const since = await oldestWaitingSince(client, queue);
  const heldMs = await queue.getRateLimitTtl(OPEN_LIMITER.max);
  const waiting = {
    ...(since === undefined ? {} : { oldestAgeMs: Math.max(0, Date.now() - since) }),
    ...(heldMs > 0 ? { heldMs } : {}),
  };
  return COUNTED.map((state) => ({
    provider,
    state,
    count: (counts[state] ?? 0) + (state === "waiting" ? prioritized : 0),
    ...(state === "waiting" ? waiting : {}),
  }));
}
