import { type Warner, warn } from "@grp/ledger";
import { findRisks, type Redis } from "@grp/runtime";

/** Somebody may set it otherwise while it runs, and after a failover another answers. */
const LOOK_MS = 60_000;

/** Warns, for as long as it is so, where Redis' own settings may lose accepted work. Whatever it can't learn breaks nothing. */
export function watchRedis(warner: Warner, redis: Redis): { close(): void } {
  const look = async () => {
    for (const text of await findRisks(redis))
      await warn(warner, { kind: "redis", text, ttlMs: 3 * LOOK_MS });
  };
  const lookSoon = () => void look().catch(() => undefined);
  redis.on("ready", lookSoon);
  const timer = setInterval(lookSoon, LOOK_MS);
  return {
    close() {
      redis.off("ready", lookSoon);
      clearInterval(timer);
    },
  };
}
