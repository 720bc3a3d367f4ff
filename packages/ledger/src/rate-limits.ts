import { KEEP_MS, LIMITS } from "./limits.ts";
import type { Script, Store } from "./store.ts";
import type { Ledger, RateLimit } from "./types.ts";

/** The numbers as texts: an empty list and an empty object are the same in Lua's JSON. */
const readLimits: Script = {
  name: "grpReadLimits",
  lua: `${LIMITS}
local found = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', P .. 'limits', now - ${KEEP_MS}, '+inf')) do
  local limit, used = { name = name }, 0
  local most, windowMs = number(limit, 'most'), number(limit, 'windowMs')
  if most and windowMs then
    limit.line = redis.call('HGET', keyOf(limit), 'line')
    for _, entry in ipairs(redis.call('ZRANGEBYSCORE', spentKey(limit), '(' .. (now - windowMs), '+inf')) do
      used = used + costOf(entry)
    end
    local resetInMs = (number(limit, 'resetAt') or 0) - now
    local left = resetInMs > 0 and number(limit, 'left')
    local waiting = redis.call('ZCARD', lineKey(limit))
    local pausedMs = math.max(0, pausedUntil(limit) - now)
    found[#found + 1] = cjson.encode({
      name = name, limit = math.floor(most * factorOf(limit)), windowMs = windowMs, used = used, waiting = waiting, pausedMs = pausedMs,
      left = left and math.max(0, left) or nil, resetInMs = left and resetInMs or nil,
    })
  end
end
return found`,
};

/** What the budget knows of GitHub's and CodeMagic's limits: of each App and account that was used of late. */
export function createRateLimits(store: Store): Pick<Ledger, "listRateLimits"> {
  return {
    async listRateLimits(at) {
      const found = await store.run<string[]>(readLimits, { now: at });
      const limits = found.map((text) => JSON.parse(text) as RateLimit);
      return limits.toSorted((one, other) => (one.name < other.name ? -1 : 1));
    },
  };
}
