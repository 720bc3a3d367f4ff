import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { connectRedis, QUEUE_SETTINGS } from "./connection.ts";
import { scheduleQueueName } from "./names.ts";
import { PatientWorker } from "./patient-worker.ts";
import { STALL_SETTINGS } from "./retry-policy.ts";
import { createHands, stopWorker } from "./shutdown.ts";
import type { Schedule, Scheduler, SchedulerOptions } from "./types.ts";

/** A flushed or restored Redis has lost the schedule: it is put there again this often. */
const RENEW_MS = 60_000;

/**
 * Runs each schedule once per `everyMs` across all processes, and never two runs of one schedule at a time: each has a
 * queue of its own with a global concurrency of one. A run that takes longer than `everyMs` delays the next.
 */
export function createScheduler(options: SchedulerOptions): Scheduler {
  const client = connectRedis(options.redisUrl, (error) => options.onError(error));
  const parts = options.schedules.map((schedule) => startSchedule(client, schedule, options));
  let isClosing = false;
  return {
    async ready() {
      await Promise.all(parts.map((part) => part.ready()));
    },
    isRunning: () => !isClosing && client.status === "ready" && parts.every((part) => part.isRunning()),
    async close(deadlineMs) {
      if (isClosing) return;
      isClosing = true;
      await Promise.all(parts.map((part) => part.close(deadlineMs)));
      client.disconnect();
    },
  };
}

function startSchedule(client: Redis, schedule: Schedule, options: SchedulerOptions) {
  const name = scheduleQueueName(schedule.name);
  const tell = (error: unknown) =>
    options.onError(error instanceof Error ? error : new Error(String(error)), schedule.name);
  const queue = new Queue(name, { connection: client, ...QUEUE_SETTINGS });
  queue.on("error", () => undefined);
  const hands = createHands();
  const worker = new PatientWorker(
    name,
    async (job) => {
      try {
        await hands.hold(job.id ?? "", schedule.run);
      } catch (error) {
        tell(error);
        throw error;
      }
    },
    { connection: client, ...QUEUE_SETTINGS, concurrency: 1, runRetryDelay: 1_000, ...STALL_SETTINGS },
  );
  worker.on("error", () => undefined);
  worker.on("lockRenewalFailed", (jobIds) => {
    for (const jobId of jobIds) hands.abort(jobId, "lost the lock");
  });
  const put = async () => {
    await queue.setGlobalConcurrency(1);
    const template = { name: schedule.name, opts: { removeOnComplete: KEEP, removeOnFail: KEEP } };
    await queue.upsertJobScheduler(schedule.name, { every: schedule.everyMs }, template);
  };
  const first = put();
  first.catch(tell);
  const timer = setInterval(() => void put().catch(tell), RENEW_MS);
  timer.unref();
  return {
    ready: () => Promise.all([first, worker.waitUntilReady()]),
    isRunning: () => worker.isRunning(),
    async close(deadlineMs: number) {
      clearInterval(timer);
      await stopWorker({ worker, queue, hands, cut: () => client.disconnect() }, deadlineMs);
    },
  };
}

/** Runs are told by log and metric; here only the last hour is kept for the dashboard. */
const KEEP = { age: 3_600, count: 100 };
