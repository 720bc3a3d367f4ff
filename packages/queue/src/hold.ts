import type { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { OPEN_LIMITER } from "./retry-policy.ts";

/** Not before the hold is over by Redis' clock; until then the limit costs time and nothing else. */
const SLACK_MS = 100;

/** In one script: a hold that begins meanwhile keeps the limit that it needs. */
const END_LIMIT = `
if tonumber(redis.call('GET', KEYS[1]) or 0) < tonumber(ARGV[1]) then redis.call('HDEL', KEYS[2], 'max', 'duration') end`;

/**
 * Nobody takes anything from the queue for so long. BullMQ looks at its rate limiter only where a limit is set, and then
 * counts each job, for which Redis needs a twentieth of what it needs for the whole job: so there is one during holds
 * alone. Should this process die, the next hold's end takes it back.
 */
export async function holdQueue(queue: Queue, client: Redis, ms: number): Promise<void> {
  await queue.rateLimit(ms);
  const { max, duration } = OPEN_LIMITER;
  await queue.setGlobalRateLimit(max, duration);
  const endLimit = () => client.eval(END_LIMIT, 2, queue.toKey("limiter"), queue.toKey("meta"), max);
  setTimeout(() => endLimit().catch(() => undefined), ms + SLACK_MS).unref();
}
