import { Redis, type RedisOptions } from "ioredis";

/** Reconnects within a second of Redis being back, with some jitter so that replicas don't come all at once. */
const reconnectDelayMs = (times: number) => Math.min(50 * 2 ** times, 900) + Math.floor(Math.random() * 100);

/**
 * A client that reconnects for ever. An outage is told to `onError` once, not once per try; the next one again.
 * BullMQ is given the instance, so that closing it is ours and can't hang.
 */
export function connectRedis(
  url: string,
  onError: (error: Error) => void,
  options: Pick<RedisOptions, "enableOfflineQueue" | "maxRetriesPerRequest"> = {},
): Redis {
  const client = new Redis(url, {
    maxRetriesPerRequest: null,
    retryStrategy: reconnectDelayMs,
    // A peer that vanished without a FIN is noticed by the kernel.
    keepAlive: 10_000,
    ...options,
  });
  let isTold = false;
  client.on("ready", () => {
    isTold = false;
  });
  client.on("error", (error: Error) => {
    if (isTold) return;
    isTold = true;
    onError(error);
  });
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
