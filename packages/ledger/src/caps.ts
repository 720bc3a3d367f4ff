import { PRELUDE } from "./prelude.ts";
import { runPipeline, type Script, type Store } from "./store.ts";
import type { Ledger, Waiter } from "./types.ts";

/**
 * How long a waiter keeps its turn without asking again, be it in line or granted by somebody's release. Whoever asks
 * later than that comes back at the same `order` and arrival; a waiter that is gone for good blocks the others no longer.
 */
export const WAITER_TTL_MS = 10 * 60_000;

/**
 * Per cap: `held` (holder → expiry), `line` (`<arrival>:<holder>`, by order, so that equal orders stand by arrival)
 * and `seen` (the same members → when they lose their turn). Per holder, `place:<holder>`: its caps and its number.
 * Places are taken cap by cap, in the caps' order; a holder keeps those it has while it waits for the next.
 */
const PLACES = `
local function part(cap, name) return P .. 'cap:' .. cap .. ':' .. name end

local function limitOf(cap) return tonumber(redis.call('HGET', P .. 'caps', cap) or 0) end

local function loadPlace(holder)
  local f = redis.call('HMGET', P .. 'place:' .. holder, 'member', 'order', 'ttlMs', 'provider', 'caps')
  if not f[1] then return nil end
  return { holder = holder, member = f[1], order = f[2], ttlMs = tonumber(f[3]), provider = f[4], caps = cjson.decode(f[5]) }
end

local function leaveLine(cap, member)
  redis.call('ZREM', part(cap, 'line'), member)
  redis.call('ZREM', part(cap, 'seen'), member)
end

local function leaveCap(cap, place)
  redis.call('ZREM', part(cap, 'held'), place.holder)
  leaveLine(cap, place.member)
end

local function dropExpired(cap)
  redis.call('ZREMRANGEBYSCORE', part(cap, 'held'), '-inf', A.at)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', part(cap, 'seen'), '-inf', A.at)) do leaveLine(cap, member) end
end

-- One cap: nil when held, else how many stand ahead. The free places belong to the first in line, asked or not.
local function acquire(cap, place)
  dropExpired(cap)
  local untilMs = A.at + math.min(place.ttlMs, ${WAITER_TTL_MS})
  if redis.call('ZSCORE', part(cap, 'held'), place.holder) then
    redis.call('ZADD', part(cap, 'held'), 'XX', 'GT', untilMs, place.holder)
    return nil
  end
  redis.call('ZADD', part(cap, 'line'), place.order, place.member)
  redis.call('ZADD', part(cap, 'seen'), untilMs, place.member)
  local ahead = redis.call('ZRANK', part(cap, 'line'), place.member)
  if redis.call('ZCARD', part(cap, 'held')) + ahead >= limitOf(cap) then return ahead end
  leaveLine(cap, place.member)
  redis.call('ZADD', part(cap, 'held'), untilMs, place.holder)
  return nil
end

-- All caps in order: nil when every one is held, else the cap waited for and how many stand ahead.
local function acquireAll(place)
  for _, cap in ipairs(place.caps) do
    local ahead = acquire(cap, place)
    if ahead then return cap, ahead end
  end
  return nil
end
`;

const take: Script = {
  name: "grpTakePlace",
  lua: `${PRELUDE}${PLACES}
local key, before, wanted = P .. 'place:' .. A.holder, loadPlace(A.holder), {}
for _, cap in ipairs(A.caps) do
  redis.call('HSET', P .. 'caps', cap.name, cap.limit)
  wanted[cap.name] = true
end
local member = before and before.member
  or string.format('%016d:', redis.call('INCR', P .. 'arrivals')) .. A.holder
for _, cap in ipairs(before and before.caps or {}) do
  if not wanted[cap] then leaveCap(cap, before) end
end
redis.call('HSET', key, 'member', member, 'order', A.order, 'ttlMs', A.ttlMs, 'provider', A.provider, 'caps', A.names)
redis.call('PEXPIRE', key, A.ttlMs + ${WAITER_TTL_MS})
local place = loadPlace(A.holder)
local cap, ahead = acquireAll(place)
if cap then return { cap, ahead } end
for _, name in ipairs(place.caps) do redis.call('ZADD', part(name, 'held'), 'XX', 'GT', A.at + A.ttlMs, A.holder) end
return {}`,
};

const release: Script = {
  name: "grpReleasePlace",
  lua: `${PRELUDE}${PLACES}
local place, woken = loadPlace(A.holder), {}
if not place then return woken end
redis.call('DEL', P .. 'place:' .. A.holder)
for _, cap in ipairs(place.caps) do leaveCap(cap, place) end
for _, cap in ipairs(place.caps) do
  dropExpired(cap)
  local limit = limitOf(cap)
  while redis.call('ZCARD', part(cap, 'held')) < limit do
    local head = redis.call('ZRANGE', part(cap, 'line'), 0, 0)[1]
    if not head then break end
    local waiter = loadPlace(string.sub(head, 18))
    if not waiter then
      leaveLine(cap, head)
    else
      if not acquireAll(waiter) then woken[#woken + 1] = { waiter.holder, waiter.provider } end
      -- It lost an earlier cap meanwhile and waits there: its turn here stays.
      if redis.call('ZSCORE', part(cap, 'line'), head) then break end
    end
  end
end
return woken`,
};

/** Places under caps: taken in strict order, handed on by the one who leaves. */
export function createCaps(
  store: Store,
): Pick<Ledger, "takePlace" | "releasePlace" | "listPlaceHolders" | "listCaps"> {
  return {
    async takePlace({ caps, ...request }) {
      // Everybody takes them in the same order, so no two can wait for each other.
      const sorted = [...caps].sort((a, b) => (a.name < b.name ? -1 : 1));
      const names = JSON.stringify(sorted.map((cap) => cap.name));
      const reply = await store.run<[string, number] | []>(take, { ...request, caps: sorted, names });
      return reply.length === 0 ? { granted: true } : { granted: false, cap: reply[0], ahead: reply[1] };
    },
    async releasePlace(holder, at) {
      const woken = await store.run<[string, Waiter["provider"]][]>(release, { holder, at });
      return woken.map(([waiter, provider]) => ({ holder: waiter, provider }));
    },
    async listPlaceHolders() {
      const pipeline = store.redis.pipeline();
      for (const cap of await store.redis.hkeys(store.key("caps"))) {
        pipeline.zrange(store.key(`cap:${cap}:held`), 0, "-1");
        pipeline.zrange(store.key(`cap:${cap}:line`), 0, "-1");
      }
      const sets = (await runPipeline(pipeline)) as string[][];
      // Those in a line have their arrival before the name: `<16 digits>:`.
      const names = sets.flatMap((set, index) => (index % 2 === 0 ? set : set.map((one) => one.slice(17))));
      const holders = [...new Set(names)];
      const lookup = store.redis.pipeline();
      for (const holder of holders) lookup.hget(store.key(`place:${holder}`), "provider");
      const providers = (await runPipeline(lookup)) as (Waiter["provider"] | null)[];
      return holders.flatMap((holder, index) => {
        const provider = providers[index];
        return provider ? [{ holder, provider }] : [];
      });
    },
    async listCaps() {
      const limits = Object.entries(await store.redis.hgetall(store.key("caps")));
      const pipeline = store.redis.pipeline();
      const alive = `(${store.now()}`;
      for (const [name] of limits) {
        pipeline.zcount(store.key(`cap:${name}:held`), alive, "+inf");
        pipeline.zcount(store.key(`cap:${name}:seen`), alive, "+inf");
      }
      const counts = (await runPipeline(pipeline)) as number[];
      return limits.map(([name, limit], index) => ({
        name,
        limit: Number(limit),
        used: counts[2 * index] ?? 0,
        waiting: counts[2 * index + 1] ?? 0,
      }));
    },
  };
}
