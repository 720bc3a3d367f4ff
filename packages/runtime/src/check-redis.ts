import { ConfigError } from "./environment.ts";
import { closeRedis, createRedis, findObstacle, type Redis } from "./redis.ts";
import { findRisks } from "./redis-risks.ts";
import { within } from "./within.ts";

/** Longer than a client takes to find that nobody answers. */
const CONNECT_MS = 3_000;

const REMEDY =
  "Start it, or mend the address: rediss:// where it speaks TLS, <user>:<password>@ where it wants them, /<number> of a database that it has";

interface CheckOptions {
  /** Shown by `CLIENT LIST`. */
  readonly name: string;
  readonly print?: (text: string) => void;
}

/** For `--check`: rejects with a `ConfigError` that says why Redis can't be used, and prints what else is wrong with it. */
export async function checkRedis(url: string, { name, print = console.error }: CheckOptions): Promise<void> {
  const redis = createRedis(url, { name, onError: () => undefined });
  try {
    await firstOutcome(redis);
    const obstacle = await findObstacle(redis);
    if (obstacle !== undefined)
      throw new ConfigError([{ name: "REDIS_URL", problem: `can't be used: ${obstacle}`, remedy: REMEDY }]);
    for (const risk of await findRisks(redis)) print(`warning: ${risk}`);
  } finally {
    await closeRedis(redis);
  }
}

/** Of the first try: a client goes on for ever. */
async function firstOutcome(redis: Redis): Promise<void> {
  const outcome = new Promise<void>((resolve) => {
    redis.once("ready", resolve);
    redis.once("close", resolve);
  });
  await within(CONNECT_MS, outcome).catch(() => undefined);
}
