import { gather, type Settled } from "@grp/core";
import { PLACES, TURN_TTL_MS, WAITER_TTL_MS } from "./fair-queueing.ts";
import { PRELUDE } from "./prelude.ts";
import { runPipeline, type Script, type Store } from "./store.ts";
import type { Ledger, PlaceRequest, PlaceVerdict, Waiter } from "./types.ts";

/** Many requests a call, served in their order. */
const take: Script = {
  name: "grpTakePlace",
  lua: `${PRELUDE}${PLACES}
for cap, limit in pairs(A.limits) do redis.call('HSET', P .. 'caps', cap, limit) end

local arrivals
local function nextArrival()
  arrivals = (arrivals or redis.call('INCRBY', P .. 'arrivals', #A.requests) - #A.requests) + 1
  return string.format('%016d:', arrivals)
end

-- What many requests have in common came once: what is written of it for each is made once, too.
for _, kind in ipairs(A.kinds) do
  kind.untilMs = text(A.at + kind.ttlMs)
  kind.expiryMs = text(kind.ttlMs + ${WAITER_TTL_MS})
  kind.fields = { 'flow', kind.flow, 'rank', text(kind.rank), 'ttlMs', text(kind.ttlMs), 'provider', kind.provider,
    'caps', cjson.encode(kind.caps), 'limits', cjson.encode(kind.limits) }
end

-- Hardly any of them has been here before: one look for all.
local looks, met = {}, {}
for _, request in ipairs(A.requests) do
  looks[#looks + 1] = P .. 'place:' .. request[1]
  looks[#looks + 1] = P .. 'turn:' .. request[1]
end
local isAnyKnown = redis.call('EXISTS', unpack(looks)) > 0
local function isKnown(holder)
  if met[holder] then return true end
  met[holder] = true
  return isAnyKnown and redis.call('EXISTS', P .. 'place:' .. holder, P .. 'turn:' .. holder) > 0
end

local function leaveUnwanted(before, caps)
  local wanted = {}
  for _, cap in ipairs(caps) do wanted[cap] = true end
  for _, cap in ipairs(before.caps) do
    if not wanted[cap] then leaveCap(cap, before) forgetUnused(cap) end
  end
end

-- Caps with room that nobody waits for, and whom this call has given it to; written down by \`settleOpen\`.
local open = {}
local function openOf(cap)
  if open[cap] == nil then
    dropExpired(cap)
    local isOpen = redis.call('ZCARD', part(cap, 'line')) == 0
    open[cap] = isOpen
      and { room = limitOf(cap) - redis.call('ZCARD', part(cap, 'held')), now = fair(cap, 'now'), last = {}, held = {} }
  end
  return open[cap]
end

local function settleOpen()
  for cap, state in pairs(open) do
    if state and #state.held > 0 then
      redis.call('ZADD', part(cap, 'held'), unpack(state.held))
      redis.call('HSET', part(cap, 'fair'), 'now', state.now)
      for flow in pairs(state.last) do redis.call('HDEL', part(cap, 'fair'), 'last:' .. flow) end
    end
  end
  open = {}
end

-- A tag after the flow's last, and served at once: as \`tagOf\` and \`settleTag\` would.
local function passThrough(state, cap, kind, holder)
  if state.last[kind.flow] == nil then state.last[kind.flow] = fair(cap, 'last:' .. kind.flow) end
  state.now = math.max(state.now, state.last[kind.flow]) + 1
  state.room = state.room - 1
  state.held[#state.held + 1] = kind.untilMs
  state.held[#state.held + 1] = holder
  return state.now
end

local function keepPlace(holder, kind, member, tags)
  local key = P .. 'place:' .. holder
  for _, field in ipairs(kind.fields) do tags[#tags + 1] = field end
  redis.call('HSET', key, 'member', member, unpack(tags))
  redis.call('PEXPIRE', key, kind.expiryMs)
end

-- The usual case: somebody new, and room under every cap.
local function takeOpen(holder, kind)
  for _, cap in ipairs(kind.caps) do
    local state = openOf(cap)
    if not state or state.room < 1 then return false end
  end
  if isKnown(holder) then return false end
  local tags = {}
  for _, cap in ipairs(kind.caps) do
    tags[#tags + 1] = 'tag:' .. cap
    tags[#tags + 1] = text(passThrough(open[cap], cap, kind, holder))
  end
  keepPlace(holder, kind, nextArrival() .. holder, tags)
  return true
end

local function takePlace(holder, kind)
  if takeOpen(holder, kind) then return {} end
  settleOpen()
  met[holder] = true
  local before = loadPlace(holder)
  local member = before and before.member or nextArrival() .. holder
  if before then leaveUnwanted(before, kind.caps) end
  keepPlace(holder, kind, member, redis.call('HGETALL', P .. 'turn:' .. holder))
  redis.call('DEL', P .. 'turn:' .. holder)
  local cap, ahead = acquireAll({ holder = holder, member = member, flow = kind.flow, rank = kind.rank,
    ttlMs = kind.ttlMs, provider = kind.provider, caps = kind.caps, limits = kind.limits,
    moves = before and before.moves or 0, keeps = before and before.keeps })
  if cap then return { cap, ahead } end
  for _, name in ipairs(kind.caps) do redis.call('ZADD', part(name, 'held'), 'XX', 'GT', kind.untilMs, holder) end
  return {}
end

local replies = {}
for at, request in ipairs(A.requests) do replies[at] = takePlace(request[1], A.kinds[request[2]]) end
settleOpen()
return replies`,
};

const release: Script = {
  name: "grpReleasePlace",
  lua: `${PRELUDE}${PLACES}
local place, woken = loadPlace(A.holder), {}
if not place then return woken end
for _, cap in ipairs(place.caps) do
  if A.comesBack then stepAside(cap, place) else leaveCap(cap, place) end
end
if A.comesBack then
  -- Also of a cap that it left earlier, for another provider's offering, and may come back to.
  local fields = redis.call('HGETALL', P .. 'place:' .. A.holder)
  for at = 1, #fields, 2 do
    if string.find(fields[at], '^tag:') then redis.call('HSET', P .. 'turn:' .. A.holder, fields[at], fields[at + 1]) end
  end
  redis.call('PEXPIRE', P .. 'turn:' .. A.holder, ${TURN_TTL_MS})
end
redis.call('DEL', P .. 'place:' .. A.holder)
for _, cap in ipairs(place.caps) do
  dropExpired(cap)
  freed[#freed + 1] = cap
end
-- Each head gets its place or moves to another cap's line, so that a line ends empty or its cap full.
local function serve(cap)
  while true do
    local head = redis.call('ZRANGE', part(cap, 'line'), 0, 0)[1]
    if not head then return end
    local waiter = loadPlace(string.sub(head, 18))
    if not waiter then
      leaveLine(cap, { member = head })
    else
      if redis.call('ZCARD', part(cap, 'held')) >= limitOf(cap, waiter) then return end
      if not acquireAll(waiter) then woken[#woken + 1] = { waiter.holder, waiter.provider } end
      if redis.call('ZRANK', part(cap, 'line'), head) == 0 then return end
    end
  end
end
local at = 1
while freed[at] do
  serve(freed[at])
  at = at + 1
end
for _, cap in ipairs(place.caps) do forgetUnused(cap) end
return woken`,
};

/** Redis works on some while the next are composed, and keeps their order: they leave by one connection. */
const BATCHES = { most: 32, calls: 4 };

const forget: Script = {
  name: "grpForgetCap",
  lua: `${PRELUDE}${PLACES}
dropExpired(A.name)
forgetUnused(A.name, true)`,
};

/** Places under caps: taken in fair turns, handed on by the one who leaves. */
export function createCaps(
  store: Store,
): Pick<Ledger, "takePlace" | "releasePlace" | "listPlaceHolders" | "listCaps" | "forgetCap"> {
  return {
    takePlace: gather((requests: readonly PlaceRequest[]) => takePlaces(store, requests), BATCHES),
    async releasePlace(holder, at, { comesBack = false } = {}) {
      const woken = await store.run<[string, Waiter["provider"]][]>(release, { holder, at, comesBack });
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
    async forgetCap(name) {
      await store.run(forget, { name, at: store.now() });
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

async function takePlaces(
  store: Store,
  requests: readonly PlaceRequest[],
): Promise<readonly Settled<PlaceVerdict>[]> {
  const limits = new Map(requests.flatMap(({ caps }) => caps.map(({ name, limit }) => [name, limit])));
  const replies = await store.run<readonly ([string, number] | [])[]>(take, {
    at: Math.max(...requests.map(({ at }) => at)),
    limits: Object.fromEntries(limits),
    ...sortByKind(requests),
  });
  return replies.map((reply) => ({
    ok: true,
    value: reply.length === 0 ? { granted: true } : { granted: false, cap: reply[0], ahead: reply[1] },
  }));
}

/** Requests as holders, each with the number of what it has in common with others of its class and repository. */
function sortByKind(requests: readonly PlaceRequest[]) {
  const numbers = new Map<string, number>();
  const kinds: object[] = [];
  const numberOf = ({ caps, provider, flow, rank, ttlMs }: PlaceRequest) => {
    const text = JSON.stringify([caps, provider, flow, rank, ttlMs]);
    const known = numbers.get(text);
    if (known !== undefined) return known;
    const limits = caps.map(({ limit }) => limit);
    const number = kinds.push({ caps: caps.map(({ name }) => name), limits, provider, flow, rank, ttlMs });
    numbers.set(text, number);
    return number;
  };
  return { requests: requests.map((request) => [request.holder, numberOf(request)]), kinds };
}
