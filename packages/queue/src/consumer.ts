import { type Job, Queue } from "bullmq";
import { connectRedis, QUEUE_SETTINGS, writeInTurns } from "./connection.ts";
import { createFaultTeller } from "./fault-teller.ts";
import { queueName } from "./names.ts";
import { isRefusal, PatientWorker } from "./patient-worker.ts";
import { backoffStrategy, KEEP_FINISHED, RETRY_POLICY, STALL_SETTINGS } from "./retry-policy.ts";
import { createRunner } from "./run-work.ts";
import { createHands, stopWorker } from "./shutdown.ts";
import type { QueueConsumer, QueueConsumerOptions } from "./types.ts";

/** Takes work from one provider's queue; see `QueueConsumer`. Begins at once, and again by itself after an outage. */
export function createQueueConsumer(options: QueueConsumerOptions): QueueConsumer {
  const client = connectRedis(options.redisUrl, options.onError);
  writeInTurns(client);
  const name = queueName(options.provider);
  const queue = new Queue(name, { connection: client, ...QUEUE_SETTINGS });
  queue.on("error", () => undefined);
  const hands = createHands();
  const runner = createRunner({ ...options, policy: { ...RETRY_POLICY, ...options.policy }, client, queue });
  const processor = (job: Job, token?: string) =>
    hands.hold(job.id ?? "", (signal) => runner(job, token ?? "", signal));
  const worker = new PatientWorker(name, processor, {
    connection: client,
    ...QUEUE_SETTINGS,
    concurrency: options.concurrency,
    settings: { backoffStrategy },
    // After a lost connection, look again as soon as Redis is back.
    runRetryDelay: 1_000,
    // A longer pause than this would also keep delayed jobs back for longer than it lasts.
    maximumRateLimitDelay: 5_000,
    ...STALL_SETTINGS,
    ...KEEP_FINISHED,
  });
  const refusals = createFaultTeller(options.onError);
  worker.on("error", (error) => {
    if (isConnectionError(error)) return;
    if (isRefusal(error)) refusals.tell(error);
    else options.onError(error);
  });
  // Somebody else may be running it by now: stop here.
  worker.on("lockRenewalFailed", (jobIds) => {
    for (const jobId of jobIds) hands.abort(jobId, "lost the lock");
  });
  let isClosing = false;
  return {
    ready: () => worker.waitUntilReady(),
    isRunning: () => !isClosing && worker.isRunning() && client.status === "ready",
    async close(deadlineMs) {
      if (isClosing) return;
      isClosing = true;
      await stopWorker({ worker, queue, hands, cut: () => client.disconnect() }, deadlineMs);
      client.disconnect();
    },
  };
}

/** The client tells of these by itself, once per outage. */
function isConnectionError(error: Error): boolean {
  const code = "code" in error ? error.code : undefined;
  return code === "ECONNREFUSED" || code === "ECONNRESET" || error.message === "Connection is closed.";
}
