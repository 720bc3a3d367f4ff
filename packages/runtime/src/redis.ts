import { Redis } from "ioredis";
import { redactText } from "./redact.ts";
import { askInfo, type RedisInfo } from "./redis-info.ts";
import { within } from "./within.ts";

export type { Redis } from "ioredis";

export interface RedisClientOptions {
  /** Shown by `CLIENT LIST`. */
  readonly name: string;
  /** After this long a command is given up; it may still happen. 2 s: what a caller of the ingress may wait. */
  readonly commandTimeoutMs?: number;
  /** Told of the first connection fault after each good spell, then every 30 s while it lasts. */
  readonly onError: (error: Error) => void;
}

const REPEAT_MS = 30_000;
const MOST_RETRY_MS = 1_000;

/**
 * A client that never makes its caller wait: with Redis away a command fails at once, with Redis frozen after the
 * command time-out. It reconnects for ever by itself, within a second or so of Redis coming back, of a peer being silent
 * for three time-outs, and of a replica refusing a write: after a failover the address leads to the new master, but an
 * open connection to the old one.
 */
export function createRedis(
  url: string,
  { name, commandTimeoutMs = 2_000, onError }: RedisClientOptions,
): Redis {
  let isReplica = false;
  let toldAt = Number.NEGATIVE_INFINITY;
  const tell = (error: Error) => {
    if (performance.now() - toldAt < REPEAT_MS) return;
    toldAt = performance.now();
    onError(error);
  };
  const redis = new Redis(url, {
    connectionName: name,
    enableOfflineQueue: false,
    commandTimeout: commandTimeoutMs,
    connectTimeout: commandTimeoutMs,
    // A dead TCP connection can look alive for a quarter of an hour.
    socketTimeout: 3 * commandTimeoutMs,
    maxRetriesPerRequest: 0,
    maxLoadingRetryTime: MOST_RETRY_MS,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (times) => (isReplica ? MOST_RETRY_MS : Math.min(50 * 2 ** times, MOST_RETRY_MS)),
    reconnectOnError(error) {
      if (!isReadOnly(error)) return false;
      isReplica = true;
      tell(error);
      return true;
    },
  });
  redis.on("ready", () => {
    // One that leads to a replica again is no better than before.
    if (!isReplica) toldAt = Number.NEGATIVE_INFINITY;
    isReplica = false;
  });
  redis.on("error", tell);
  rememberFault(redis);
  return redis;
}

/** Why a client's connection is not as it should be. A command fails for want of it without a word about that. */
const faults = new WeakMap<Redis, Error>();

/** Until a connection becomes ready without one: a database that is not there is told, and then the client says that it is ready. */
function rememberFault(redis: Redis): void {
  let isOfThisConnection = false;
  redis.on("connect", () => {
    isOfThisConnection = false;
  });
  redis.on("error", (error: Error) => {
    isOfThisConnection = true;
    faults.set(redis, error);
  });
  redis.on("ready", () => {
    if (!isOfThisConnection) faults.delete(redis);
  });
}

/** A replica's refusal of a write. Redis 6 tells a script's deep in the text of another. */
function isReadOnly({ message }: Error): boolean {
  return message.includes("READONLY");
}

/** ioredis's own classes, by name; its replies of error; and the queue's deadline. */
const REDIS_ERRORS = new Set([
  ...["ReplyError", "AbortError", "InterruptError", "MaxRetriesPerRequestError"],
  ...["ClusterAllFailedError", "QueueUnavailableError"],
]);
/** What it throws as plain errors has nothing but its text to know it by. */
const REDIS_WORDS = /^(Connection is closed|Command timed out|Stream isn't writeable|connect E[A-Z]+)/;

/** Whether it is Redis that is away, too slow or refusing, rather than a mistake of ours. */
export function isRedisError(error: unknown): boolean {
  return error instanceof Error && (REDIS_ERRORS.has(error.name) || REDIS_WORDS.test(error.message));
}

/** For `isReady`: `true`, or why Redis can't be used. */
export async function isRedisReady(redis: Redis): Promise<true | string> {
  const obstacle = await findObstacle(redis);
  return obstacle === undefined ? true : `redis: ${obstacle}`;
}

/**
 * Why Redis can't be used by this client, if it can't; no password in it. A client that is bound to a replica is made to
 * reconnect, for it may never meet a refusal.
 */
export async function findObstacle(redis: Redis, ms = 800): Promise<string | undefined> {
  try {
    const info = await within(ms, askInfo(redis));
    if (info.role === "slave") redis.disconnect(true);
    const obstacle = obstacleOf(info);
    if (obstacle !== undefined) return obstacle;
  } catch (error) {
    return whyOf(faults.get(redis) ?? error);
  }
  const fault = faults.get(redis);
  return fault && whyOf(fault);
}

function whyOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  // What is said of a connection that was closed without a word.
  if (text.startsWith("Stream isn't writeable")) return "no connection to it";
  return redactText(text.replace(/\.$/, ""));
}

function obstacleOf({ role, redis_mode: mode, loading }: RedisInfo): string | undefined {
  if (role === "slave") return "a replica answers there, and takes no writes";
  if (mode === "sentinel")
    return "a Sentinel answers there, and keeps nothing: name the master that it watches";
  // In the words of its other refusals meanwhile.
  if (loading === "1") return "LOADING Redis is loading the dataset in memory";
  return undefined;
}

/** Ends the client; waits for answers still due, but not for a Redis that gives none. */
export async function closeRedis(redis: Redis, ms = 500): Promise<void> {
  await within(ms, redis.quit()).catch(() => undefined);
  redis.disconnect();
}
