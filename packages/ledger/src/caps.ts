import { gather, type Settled } from "@grp/core";
import { PRELUDE } from "./prelude.ts";
import { runPipeline, type Script, type Store } from "./store.ts";
import type { Ledger, PlaceRequest, PlaceVerdict, Waiter } from "./types.ts";

/**
 * How long a waiter keeps its turn without asking again, be it in line or granted by somebody's release. Whoever asks
 * later than that comes back at the same tag; a waiter that is gone for good blocks the others no longer.
 */
export const WAITER_TTL_MS = 10 * 60_000;

/** A waiter that gave its places back and comes again, after the longest back-off, finds its turn as it was. */
const TURN_TTL_MS = 2 * 3_600_000;

/**
 * Per cap: `held` (holder → expiry), `line` (`<arrival>:<holder>`, by rank and tag, equals by arrival), `seen` (the
 * same members → when they lose their turn) and `fair` (`now`: the tag served last; `last:<flow>`: the flow's last tag).
 * Per holder, `place:<holder>`: its caps, its tags and its number; `turn:<holder>`: the tags of one who comes back.
 *
 * All or nothing: a place is had under every cap at once, or under none. Who is refused stands in one line, of the first
 * cap that refuses. When its turn comes there and another cap refuses, it moves to that one's line and lets the next in;
 * `away:<cap>` says that the flow still counts its tag in the line it left. So a cap with room has nobody in its line.
 *
 * Start-time fair queueing: a flow's next waiter gets the tag after the flow's last, or after the one served now if that
 * is later. So flows that wait are served in turn, however many of one wait; and none saves up turns while it is idle.
 */
const PLACES = `
local function part(cap, name) return P .. 'cap:' .. cap .. ':' .. name end

-- A cap that nobody holds or stands at is forgotten, though one who waits elsewhere may want it: its place knows it.
local function limitOf(cap, place)
  local limit = A.limits and A.limits[cap] or tonumber(redis.call('HGET', P .. 'caps', cap))
  if limit or not place then return limit or 0 end
  for at, name in ipairs(place.caps) do
    if name == cap then limit = place.limits[at] end
  end
  -- A place that an earlier version wrote knows no limits; its holder's next ask tells them.
  if limit then redis.call('HSET', P .. 'caps', cap, limit) end
  return limit or 0
end

local function loadPlace(holder)
  local f = redis.call('HMGET', P .. 'place:' .. holder, 'member', 'flow', 'rank', 'ttlMs', 'provider', 'caps', 'limits')
  if not f[1] then return nil end
  return { holder = holder, member = f[1], flow = f[2], rank = tonumber(f[3]), ttlMs = tonumber(f[4]), provider = f[5],
    caps = cjson.decode(f[6]), limits = f[7] and cjson.decode(f[7]) or {} }
end

local function fair(cap, field) return tonumber(redis.call('HGET', part(cap, 'fair'), field) or 0) end

-- Who was away finds its turn as it was, and is never behind one who comes only now.
local function nextTag(cap, place)
  local tag, away = unpack(redis.call('HMGET', P .. 'place:' .. place.holder, 'tag:' .. cap, 'away:' .. cap))
  if tag and not away then return tonumber(tag), true end
  local fresh = math.max(fair(cap, 'now'), fair(cap, 'last:' .. place.flow)) + 1
  if tag then return math.min(tonumber(tag), fresh), true end
  return fresh, false
end

local function tagOf(cap, place)
  local tag, isKnown = nextTag(cap, place)
  if not isKnown then redis.call('HSET', part(cap, 'fair'), 'last:' .. place.flow, tag) end
  redis.call('HSET', P .. 'place:' .. place.holder, 'tag:' .. cap, tag)
  return tag
end

-- Served, or gone: what its flow does not wait for holds up nothing that comes later.
local function settleTag(cap, place, isServed)
  local tag, field = tagOf(cap, place), 'last:' .. place.flow
  if isServed then redis.call('HSET', part(cap, 'fair'), 'now', math.max(fair(cap, 'now'), tag)) end
  local last = fair(cap, field) - (isServed and 0 or 1)
  if last <= fair(cap, 'now') then
    redis.call('HDEL', part(cap, 'fair'), field)
  else
    redis.call('HSET', part(cap, 'fair'), field, last)
  end
end

local function leaveLine(cap, member)
  redis.call('ZREM', part(cap, 'seen'), member)
  return redis.call('ZREM', part(cap, 'line'), member) == 1
end

local function forgetUnused(cap, isGone)
  if redis.call('EXISTS', part(cap, 'held'), part(cap, 'line')) > 0 then return end
  redis.call('DEL', part(cap, 'fair'))
  if A.limits and A.limits[cap] then return end
  -- Those of one repository or owner are as many as there are; a class's or a team's is shown while there is such a one.
  local isShown = string.find(cap, '^class:[^|]+$') or string.find(cap, '^codemagic:')
  if isGone or not isShown then redis.call('HDEL', P .. 'caps', cap) end
end

local function comeBack(cap, place) return redis.call('HDEL', P .. 'place:' .. place.holder, 'away:' .. cap) == 1 end

local function leaveCap(cap, place)
  redis.call('ZREM', part(cap, 'held'), place.holder)
  if leaveLine(cap, place.member) or comeBack(cap, place) then settleTag(cap, place, false) end
end

-- Caps that may have room now for those in their lines.
local freed = {}
local dropped = {}
local function dropExpired(cap)
  if dropped[cap] then return end
  dropped[cap] = true
  if redis.call('ZREMRANGEBYSCORE', part(cap, 'held'), '-inf', A.at) > 0 then freed[#freed + 1] = cap end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', part(cap, 'seen'), '-inf', A.at)) do
    local place = loadPlace(string.sub(member, 18))
    if leaveLine(cap, member) and place then settleTag(cap, place, false) end
  end
end

local function scoreOf(place, tag) return place.rank * 1e9 + tag end

-- Nil when there is a place for it, else how many stand ahead. The free places belong to the first in line, asked or not.
local function refuse(cap, place)
  dropExpired(cap)
  if redis.call('ZSCORE', part(cap, 'held'), place.holder) then return nil end
  local line, ahead = part(cap, 'line'), 0
  if redis.call('EXISTS', line) == 1 then
    local isNew = redis.call('ZADD', line, scoreOf(place, nextTag(cap, place)), place.member) == 1
    ahead = redis.call('ZRANK', line, place.member)
    if isNew then redis.call('ZREM', line, place.member) end
  end
  return redis.call('ZCARD', part(cap, 'held')) + ahead >= limitOf(cap, place) and ahead or nil
end

local function standAt(cap, place, untilMs)
  redis.call('ZADD', part(cap, 'line'), scoreOf(place, tagOf(cap, place)), place.member)
  redis.call('ZADD', part(cap, 'seen'), untilMs, place.member)
  comeBack(cap, place)
end

local function stepAside(cap, place)
  redis.call('ZREM', part(cap, 'held'), place.holder)
  if leaveLine(cap, place.member) then redis.call('HSET', P .. 'place:' .. place.holder, 'away:' .. cap, 1) end
end

local function hold(cap, place, untilMs)
  if redis.call('ZADD', part(cap, 'held'), 'GT', untilMs, place.holder) == 0 then return end
  leaveLine(cap, place.member)
  settleTag(cap, place, true)
  comeBack(cap, place)
end

-- Nil when every cap is held now, else the one waited for and how many stand ahead.
local function acquireAll(place)
  local untilMs = A.at + math.min(place.ttlMs, ${WAITER_TTL_MS})
  for _, cap in ipairs(place.caps) do
    local ahead = refuse(cap, place)
    if ahead then
      for _, other in ipairs(place.caps) do
        if other ~= cap then stepAside(other, place) end
      end
      standAt(cap, place, untilMs)
      return cap, ahead
    end
  end
  for _, cap in ipairs(place.caps) do hold(cap, place, untilMs) end
  return nil
end
`;

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
    ttlMs = kind.ttlMs, provider = kind.provider, caps = kind.caps, limits = kind.limits })
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
for _, cap in ipairs(place.caps) do leaveCap(cap, place) end
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
      leaveLine(cap, head)
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
