import type { Redis } from "ioredis";

export type RedisInfo = Readonly<Record<string, string | undefined>>;

/** What Redis says of itself; nothing where it answers, but `INFO` is forbidden: some who host Redis do so. */
export async function askInfo(redis: Redis): Promise<RedisInfo> {
  try {
    return parseInfo(await redis.info());
  } catch (error) {
    if (!(error instanceof Error && error.name === "ReplyError")) throw error;
    await redis.ping();
    return {};
  }
}

function parseInfo(text: string): RedisInfo {
  const fields = text.split(/\r?\n/).map((line) => /^(\w+):(.*)$/.exec(line));
  return Object.fromEntries(fields.flatMap((field) => (field ? [[field[1], field[2]]] : [])));
}
