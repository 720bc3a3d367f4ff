import { RedisConnection } from "bullmq";
import { Redis, type RedisOptions } from "ioredis";
import { createFaultTeller } from "./fault-teller.ts";
import { QUEUE_PREFIX } from "./names.ts";

/**
 * For every queue and worker of BullMQ. It would ask `INFO` for the version once, and refuse all for good where that is
 * forbidden.
 */
export const QUEUE_SETTINGS = { prefix: QUEUE_PREFIX, skipVersionCheck: true } as const;

// What it then takes each Redis for: the least that works. Its own 5.0 would make it wait in whole seconds, and look
// through lists for a job's state.
RedisConnection.minimumVersion = "6.2.0";

const MOST_RETRY_MS = 900;

/** Longer than BullMQ lets Redis wait for work (10 s). */
const SILENCE_MS = 30_000;

/** Reconnects within a second of Redis being back, with some jitter so that replicas don't come all at once. */
const reconnectDelayMs = (times: number) =>
  Math.min(50 * 2 ** times, MOST_RETRY_MS) + Math.floor(Math.random() * 100);

/**
 * A client that reconnects for ever. An outage is told to `onError` at once and every 30 s, not once per try. A replica
 * is an outage too: after a failover the address leads to the new master, but an open connection to the old one.
 * BullMQ is given the instance, so that closing it is ours and can't hang.
 */
export function connectRedis(
  url: string,
  onError: (error: Error) => void,
  options: Pick<RedisOptions, "enableOfflineQueue" | "maxRetriesPerRequest" | "socketTimeout"> = {},
): Redis {
  const faults = createFaultTeller(onError);
  let isReplica = false;
  const client = new Redis(url, {
    maxRetriesPerRequest: null,
    maxLoadingRetryTime: MOST_RETRY_MS,
    retryStrategy: (times) => (isReplica ? MOST_RETRY_MS : reconnectDelayMs(times)),
    reconnectOnError(error) {
      // Redis 6 tells a script's refusal deep in the text of another.
      if (!error.message.includes("READONLY")) return false;
      isReplica = true;
      faults.tell(error);
      // 2: it goes out again on the new connection. What was refused was not done, so it is not done twice.
      return options.enableOfflineQueue === false ? 1 : 2;
    },
    // A peer that vanished without a FIN: the kernel tells in two minutes of one that was idle, and in a quarter of an hour of
    // one that was just written to.
    keepAlive: 10_000,
    socketTimeout: SILENCE_MS,
    ...options,
  });
  client.on("ready", () => {
    // One that leads to a replica again is no better than before.
    if (!isReplica) faults.over();
    isReplica = false;
  });
  client.on("error", faults.tell);
  // One listener per call that waits for the connection. Not 0 (unlimited): BullMQ adds to this number.
  client.setMaxListeners(10_000);
  return client;
}

/** Resolves when the client can be written to; the caller bounds it. */
export function whenReady(client: Redis, signal: AbortSignal): Promise<void> {
  if (client.status === "ready") return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      client.off("ready", finish);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    client.on("ready", finish);
    signal.addEventListener("abort", finish);
  });
}

/** Commands that leave in one write: few enough that Redis works on some while the next are composed. */
const TOGETHER = 16;

/**
 * Whatever is sent in one turn of the event loop leaves together, for callers that know nothing of each other: many jobs
 * end with one answer, and each ends with a command.
 */
export function writeInTurns(client: Redis): void {
  const send = client.sendCommand.bind(client);
  let held: { readonly stream: Redis["stream"]; count: number } | undefined;
  const letGo = () => {
    held?.stream.uncork();
    held = undefined;
  };
  client.sendCommand = (command, stream) => {
    if (client.stream && !held) {
      held = { stream: client.stream, count: 0 };
      client.stream.cork();
      process.nextTick(letGo);
    }
    const answer = send(command, stream);
    if (held) {
      held.count += 1;
      if (held.count === TOGETHER) letGo();
    }
    return answer;
  };
}

export type Settled<T> = { readonly done: true; readonly value: T } | { readonly done: false };

/** Waits for `work` no longer than `deadlineMs`. What comes after that is dropped, errors too. */
export async function settleWithin<T>(deadlineMs: number, work: Promise<T>): Promise<Settled<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Settled<T>>((resolve) => {
    timer = setTimeout(() => resolve({ done: false }), deadlineMs);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work.then((value) => ({ done: true as const, value })), late]);
  } finally {
    clearTimeout(timer);
  }
}
