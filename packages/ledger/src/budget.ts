import { randomUUID } from "node:crypto";
import type { Budget, Limit, SpendVerdict } from "@grp/core";
import { KEEP_MS, LIMITS, RECOVERY_MS, SCOUT_MS } from "./limits.ts";
import { createStore, type RedisClient, type Script } from "./store.ts";

/** One refusal tells of many calls that were under way: within this time they count as one. */
const SAME_REFUSAL_MS = 5_000;

/**
 * Calls that were counted one after the other may reach the other side together. So of a bucket, which is known to be empty
 * then, a refusal means that others draw from it too only when there was one within this time.
 */
const AGAIN_MS = 60_000;

/** However often it was refused, a limit keeps this part, or it could never find out that it may rise. */
const LEAST_FACTOR = 0.1;

/** The other side tells whole seconds, and its clock is read a little apart from ours. */
const SAME_RESET_MS = 60_000;

/**
 * Of an hour that the other side counts, the background leaves so much to those who wait for it: 1,250 of GitHub's 5,000
 * are as many machines.
 */
const BACKGROUND_LEAVES = 0.25;

/** How soon to ask again where nobody can say when one of those under way ends. */
const PARALLEL_RETRY_MS = 200;

const spend: Script = {
  name: "grpSpend",
  lua: `${LIMITS}
local function pausedMs(limit) return math.max(0, pausedUntil(limit) - now) end

-- Each gives how much may be taken now, and how long until that much more may be.
local bucket, afterMs, holdMs = {}, 0, A.holdMs or 0
function bucket.have(charge) return tokensOf(charge.limit) + holdMs * rateOf(charge.limit) end
function bucket.waitMs(charge, missing) return missing / rateOf(charge.limit) end
function bucket.take(charge, amount, have)
  local left = have - holdMs * rateOf(charge.limit) - amount
  afterMs = math.max(afterMs, -left / rateOf(charge.limit))
  redis.call('HSET', keyOf(charge.limit), 'tokens', left, 'at', now)
end

local window = {}
local function leave(limit, member)
  redis.call('ZREM', lineKey(limit), member)
  redis.call('ZREM', lineKey(limit) .. ':seen', member)
end
local function forgetAbsent(limit)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', lineKey(limit) .. ':seen', '-inf', now)) do leave(limit, member) end
end

local function forgetOld(limit)
  for _, entry in ipairs(redis.call('ZRANGEBYSCORE', spentKey(limit), '-inf', now - limit.windowMs)) do
    redis.call('HINCRBY', keyOf(limit), 'used', -costOf(entry))
    if string.sub(entry, -1) == 'b' then redis.call('HINCRBY', keyOf(limit), 'background', -costOf(entry)) end
    redis.call('ZREM', spentKey(limit), entry)
  end
  -- What was spent may have been forgotten as a whole.
  if redis.call('EXISTS', spentKey(limit)) == 0 then redis.call('HDEL', keyOf(limit), 'used', 'background') end
end

local function mostOf(charge)
  return math.max(charge.cost, math.floor(charge.limit.most * factorOf(charge.limit)))
end

-- Less than nothing where more was spent than is allowed since it was halved.
local function roomOf(charge) return mostOf(charge) - (number(charge.limit, 'used') or 0) end

-- What the background may still take of the hour that the other side counts.
local function spareOf(limit)
  local left, resetAt = number(limit, 'left'), number(limit, 'resetAt')
  if not left or resetAt <= now then return math.huge end
  return left - math.ceil((number(limit, 'allowed') or left) * (A.background.leaves or ${BACKGROUND_LEAVES}))
end

function window.have(charge)
  local limit = charge.limit
  forgetOld(limit)
  local have = roomOf(charge)
  if not A.background then return have end
  forgetAbsent(limit)
  local isLine = redis.call('EXISTS', lineKey(limit)) == 1
  local share = isLine and A.background.shareInLine or A.background.share
  -- The hour counts calls, whatever each costs here.
  if spareOf(limit) < 1 then return 0 end
  return math.min(have, math.floor(limit.most * share) - (number(limit, 'background') or 0))
end

-- By what a window that was halved rises, in steps: a hundredth of it takes some seconds.
local function addRise(freed, charge)
  local limit, factor, risen = charge.limit, factorOf(charge.limit), mostOf(charge)
  local step = math.max(charge.cost, math.floor(limit.most / 100))
  for most = risen - risen % step + step, limit.most, step do
    local at = now + math.ceil((most / limit.most - factor) * ${RECOVERY_MS})
    freed[#freed + 1], risen = { at = at, amount = most - risen }, most
  end
end

local function isEarlier(one, other) return one.at < other.at end

-- What comes free of one window, in its order: what was spent, what it rises by, and all that a pause keeps back. As much
-- as was spent over the limit serves nobody.
local function freedOf(charge)
  local limit, since, room, freed = charge.limit, pausedUntil(charge.limit), roomOf(charge), {}
  local entries = redis.call('ZRANGE', spentKey(limit), 0, -1, 'WITHSCORES')
  if since > now and room > 0 then freed[1] = { at = since, amount = room } end
  for i = 1, #entries, 2 do
    freed[#freed + 1] = { at = tonumber(entries[i + 1]) + limit.windowMs, amount = costOf(entries[i]) }
  end
  if factorOf(limit) < 1 then
    addRise(freed, charge)
    table.sort(freed, isEarlier)
  end
  if room >= 0 and since <= now then return freed end
  for _, one in ipairs(freed) do
    local over = math.min(one.amount, math.max(0, -room))
    one.at, one.amount, room = math.max(one.at, since), one.amount - over, room + over
  end
  return freed
end

local function freedOfAll(charges)
  if #charges == 1 then return freedOf(charges[1]) end
  local all = {}
  for _, charge in ipairs(charges) do
    for _, one in ipairs(freedOf(charge)) do all[#all + 1] = one end
  end
  table.sort(all, isEarlier)
  return all
end

-- No call is made of what is left in two windows.
local function freeNow(charges)
  local free = 0
  for _, charge in ipairs(charges) do
    local room = pausedMs(charge.limit) > 0 and 0 or math.max(0, roomOf(charge))
    free = free + (#charges > 1 and room - room % charge.cost or room)
  end
  return free
end

-- Until so much was free of these windows together. Those ahead spend whatever is free at once, and a window later it comes
-- free again: once all that was spent before has, each window is like the one before it.
local function untilFree(charges, wanted)
  local free, windowMs, skippedMs = freeNow(charges), charges[1].limit.windowMs, 0
  local spent, nextSpent, total, missing = { { at = now, amount = free } }, 1, free, wanted - free
  local freed, nextFreed = missing > 0 and freedOfAll(charges), 1
  while missing > 0 do
    local one, again = freed[nextFreed], spent[nextSpent]
    if not one and missing > total then
      if total <= 0 then return windowMs end
      local windows = math.ceil(missing / total) - 1
      missing, skippedMs = missing - windows * total, skippedMs + windows * windowMs
    end
    if one and one.at <= again.at + windowMs then
      nextFreed, total = nextFreed + 1, total + one.amount
    else
      one, nextSpent = again, nextSpent + 1
      one.at = one.at + windowMs
    end
    missing = missing - one.amount
    spent[#spent + 1] = one
  end
  local waitMs = spent[#spent].at + skippedMs - now
  -- The line may be gone any moment.
  return A.background and math.min(waitMs, windowMs / 12) or waitMs
end
function window.waitMs(charge, missing)
  if A.background and spareOf(charge.limit) < 1 then return number(charge.limit, 'resetAt') - now end
  return untilFree({ charge }, missing + roomOf(charge))
end

-- Only the other side can say that nothing is left: by our count there is always one, who goes alone and asks.
local function countDown(limit)
  local left = number(limit, 'left')
  if not left or (number(limit, 'resetAt') or 0) <= now then return end
  if left > 1 then return redis.call('HINCRBY', keyOf(limit), 'left', -1) end
  redis.call('HSET', keyOf(limit), 'scout', A.lease, 'scoutUntil', now + ${SCOUT_MS})
end

function window.take(charge, amount)
  local limit = charge.limit
  redis.call('ZADD', spentKey(limit), now, A.lease .. ':' .. amount .. ':' .. kind)
  redis.call('HINCRBY', keyOf(limit), 'used', amount)
  if A.background then redis.call('HINCRBY', keyOf(limit), 'background', amount) end
  countDown(limit)
  redis.call('HSET', keyOf(limit), 'most', limit.most, 'windowMs', limit.windowMs, 'line', limit.line or limit.name)
  if not limit.isUntold or 2 * number(limit, 'used') >= limit.most then show(limit) end
  redis.call('PEXPIRE', spentKey(limit), ${KEEP_MS})
end

local parallel = {}
function parallel.have(charge)
  redis.call('ZREMRANGEBYSCORE', leasesKey(charge.limit), '-inf', now)
  return charge.limit.most - redis.call('ZCARD', leasesKey(charge.limit))
end
function parallel.waitMs() return ${PARALLEL_RETRY_MS} end
function parallel.take(charge)
  redis.call('ZADD', leasesKey(charge.limit), now + charge.limit.leaseMs, A.lease)
  redis.call('PEXPIRE', leasesKey(charge.limit), charge.limit.leaseMs)
end

local KINDS = { bucket = bucket, window = window, parallel = parallel }

-- Of buckets there is one line, that of the first.
local bucketLine, ahead = A.turn and A.ways[1][1].limit.kind == 'bucket' and A.ways[1][1].limit, 0
if bucketLine then
  forgetAbsent(bucketLine)
  redis.call('ZADD', lineKey(bucketLine), A.turn.order, A.turn.member)
  ahead = redis.call('ZRANK', lineKey(bucketLine), A.turn.member)
end

-- Those ahead want the least that will do each, and more if there is not enough for this one besides: then they go first.
-- The wait is for what comes next, whoever will have it: lines come and go, and nobody knows who will be first by then.
local function freeOf(charge, have, least)
  if ahead == 0 or charge.limit.kind ~= 'bucket' or have < least then return have end
  local left = have - ahead * least
  return left >= charge.cost and left or 0
end

-- What each way has, and how long until it will do. Without a turn that is the answer; with one, those ahead come first.
local function weigh(charges)
  local way = { waitMs = 0, room = 0, windows = {}, amounts = {}, haves = {} }
  for i, charge in ipairs(charges) do
    local of, least = KINDS[charge.limit.kind], charge.least or charge.cost
    local have = of.have(charge)
    local free = freeOf(charge, have, least)
    way.haves[i], way.amounts[i] = have, charge.borrow and charge.cost or math.min(charge.cost, math.floor(free))
    local isShort = free < least and not charge.borrow
    local shortMs = isShort and math.max(1, of.waitMs(charge, least - free)) or 0
    if shortMs > 0 then way.lacks = i - 1 end
    local heldMs = pausedMs(charge.limit) > holdMs and pausedMs(charge.limit) or 0
    way.waitMs = math.max(way.waitMs, shortMs, heldMs)
    if charge.limit.kind == 'window' then
      way.room = have
      way.windows[#way.windows + 1] = { charge = charge, isShort = shortMs > 0 or heldMs > 0 }
    end
  end
  return way
end

local ways, best, waitMs = {}, nil, nil
for i, charges in ipairs(A.ways) do
  local way = weigh(charges)
  ways[i] = way
  if way.waitMs == 0 and (not best or way.room > ways[best].room) then best = i end
  waitMs = math.min(waitMs or way.waitMs, way.waitMs)
end

-- Those ahead in line are taken to want as much each, or what the turn says, whichever way they go. The ways may share a
-- window.
local function waitInLine(place)
  local limit, cost = ways[1].windows[place].charge.limit, ways[1].windows[place].charge.cost
  forgetAbsent(limit)
  redis.call('ZADD', lineKey(limit), A.turn.order, A.turn.member)
  local ahead = redis.call('ZRANK', lineKey(limit), A.turn.member)
  local charges, counted = {}, {}
  for _, way in ipairs(ways) do
    local charge = way.windows[place].charge
    if not counted[charge.limit.name] then charges[#charges + 1] = charge end
    counted[charge.limit.name] = true
  end
  return untilFree(charges, ahead * (A.turn.each or cost) + cost)
end

local function isLine(place)
  local window = ways[1].windows[place]
  return place == #ways[1].windows or window.isShort or redis.call('EXISTS', lineKey(window.charge.limit)) == 1
end

local inLine
if A.turn and #ways[1].windows > 0 then
  local place, lineMs = 0, 0
  repeat
    place = place + 1
    if isLine(place) then lineMs = waitInLine(place) end
  until lineMs > 0 or place == #ways[1].windows
  inLine = ways[1].windows[place].charge.limit
  -- Whoever is first in line waits all the same until one of the ways will do.
  waitMs = math.max(waitMs, lineMs)
end

inLine = inLine or bucketLine
if waitMs > 0 and inLine then
  local backMs = math.min(waitMs, A.turn.returnsMs or waitMs)
  redis.call('ZADD', lineKey(inLine) .. ':seen', now + backMs + A.turn.patienceMs, A.turn.member)
  redis.call('PEXPIRE', lineKey(inLine), ${KEEP_MS})
  redis.call('PEXPIRE', lineKey(inLine) .. ':seen', ${KEEP_MS})
end
if waitMs == 0 and bucketLine then leave(bucketLine, A.turn.member) end
for i, charges in ipairs(A.ways) do
  for j, charge in ipairs(charges) do
    if waitMs == 0 and i == best then
      afterMs = math.max(afterMs, pausedMs(charge.limit))
      KINDS[charge.limit.kind].take(charge, ways[i].amounts[j], ways[i].haves[j])
    end
    if redis.call('EXISTS', keyOf(charge.limit)) == 1 then redis.call('PEXPIRE', keyOf(charge.limit), ${KEEP_MS}) end
  end
end
if inLine then
  for _, window in ipairs(ways[1].windows) do
    local limit = window.charge.limit
    if waitMs == 0 or limit.name ~= inLine.name then leave(limit, A.turn.member) end
  end
end
if waitMs > 0 then return { 0, math.ceil(waitMs), ways[1].lacks or -1 } end
local amounts = ways[best].amounts
return { 1, amounts[#amounts] or 0, math.ceil(afterMs), best - 1, now }`,
};

const giveBack: Script = {
  name: "grpGiveBack",
  lua: `${LIMITS}
local underWay = 0
local function takeScout(limit)
  if redis.call('HGET', keyOf(limit), 'scout') ~= A.lease then return false end
  redis.call('HDEL', keyOf(limit), 'scout', 'scoutUntil')
  return true
end

-- Answers overtake each other: until the count begins anew, the least that was told is the truth, but for what a scout is
-- told, who was sent because our count may be too low. Those still under way may have been counted since.
local function hear(limit, told, isScout)
  local left, resetAt = number(limit, 'left'), now + told.resetInMs
  local isSame = left and math.abs((number(limit, 'resetAt') or 0) - resetAt) < ${SAME_RESET_MS}
  local heard = told.left
  if isSame and isScout and left > 0 and heard > 0 then
    left = math.max(left, heard - underWay)
  elseif isSame then
    left, heard = math.min(left, heard), math.min(number(limit, 'heard') or heard, heard)
  else
    left = heard
  end
  local allowed = told.most or math.max(told.left, number(limit, 'allowed') or 0)
  redis.call('HSET', keyOf(limit), 'left', left, 'heard', heard, 'resetAt', resetAt, 'allowed', allowed)
end

-- No answer, or one that tells nothing: it is as if it had not gone, and never more than was told.
local function undo(limit)
  local left = number(limit, 'left')
  if left and left < (number(limit, 'heard') or left) then redis.call('HINCRBY', keyOf(limit), 'left', 1) end
end

for _, charge in ipairs(A.charges) do
  local limit = charge.limit
  if limit.kind == 'parallel' then
    redis.call('ZREM', leasesKey(limit), A.lease)
    underWay = math.max(underWay, redis.call('ZCARD', leasesKey(limit)))
  end
end
for _, charge in ipairs(A.charges) do
  local limit = charge.limit
  if limit.kind == 'window' then
    redis.call('ZADD', spentKey(limit), 'XX', 'GT', now, A.lease .. ':' .. charge.cost .. ':' .. kind)
    local isScout = takeScout(limit)
    if A.told and not limit.isUntold then hear(limit, A.told, isScout) elseif not isScout then undo(limit) end
  end
end`,
};

const refund: Script = {
  name: "grpRefund",
  lua: `${LIMITS}
for _, charge in ipairs(A.charges) do
  local limit = charge.limit
  local emptiedAt, have = number(limit, 'emptiedAt') or 0, tokensOf(limit)
  if emptiedAt < (A.grantedAt or now) then
    local most = math.min(limit.capacity, (now - emptiedAt) * rateOf(limit))
    redis.call('HSET', keyOf(limit), 'tokens', math.max(have, math.min(most, have + charge.cost)), 'at', now)
    redis.call('PEXPIRE', keyOf(limit), ${KEEP_MS})
  end
end`,
};

const slowDown: Script = {
  name: "grpSlowDown",
  lua: `${LIMITS}
local loweredAt = A.limits[1] and number(A.limits[1], 'factorAt')
for _, limit in ipairs(A.limits) do
  local key, refusedAt = keyOf(limit), number(limit, 'refusedAt') or 0
  -- What is owed stays owed.
  if limit.kind == 'bucket' then
    redis.call('HSET', key, 'tokens', math.min(0, tokensOf(limit)), 'at', now, 'emptiedAt', now)
  end
  if now - refusedAt >= ${SAME_REFUSAL_MS} then
    redis.call('HSET', key, 'refusedAt', now)
    if limit.kind ~= 'bucket' or now - refusedAt < ${AGAIN_MS} then
      local factor = math.max(${LEAST_FACTOR}, factorOf(limit) / 2)
      redis.call('HSET', key, 'factor', factor, 'factorAt', now)
    end
  end
  if limit.kind == 'window' then show(limit) end
  local paused = math.max(number(limit, 'pausedUntil') or 0, now + A.pauseMs)
  redis.call('HSET', key, 'pausedUntil', paused)
  redis.call('PEXPIRE', key, ${KEEP_MS})
end
return loweredAt and now - loweredAt or -1`,
};

type SpendReply =
  | readonly [isGranted: 1, amount: number, afterMs: number, way: number, at: number]
  | readonly [isGranted: 0, waitMs: number, lacks: number];

export interface BudgetOptions {
  readonly redis: RedisClient;
  /** As the ledger's. */
  readonly keyPrefix?: string;
  /** Redis' own clock when absent; a test's, else. */
  readonly now?: () => number;
}

/** A budget in Redis: every process that shares it, shares its limits. Each call is one atomic script. */
export function createBudget({ redis, keyPrefix = "{grp}:", now }: BudgetOptions): Budget {
  const store = createStore(redis, { prefix: keyPrefix, retentionMs: KEEP_MS, now: now ?? Date.now });
  const time = () => (now ? { now: now() } : {});
  return {
    async spend(spending): Promise<SpendVerdict> {
      const lease = randomUUID();
      // Lua would print a large number without its last digits.
      const turn = spending.turn && { ...spending.turn, order: String(spending.turn.order) };
      const args = { ...spending, turn, lease, ...time() };
      const reply = await store.run<SpendReply>(spend, args);
      if (reply[0] === 1) {
        const [, amount, afterMs, way, at] = reply;
        return { granted: true, way, amount, afterMs, lease, at };
      }
      const [, waitMs, lacks] = reply;
      return { granted: false, waitMs, ...(lacks >= 0 ? { lacks } : {}) };
    },
    async giveBack(lease, spent) {
      await store.run(giveBack, { lease, ...spent, ...time() });
    },
    async refund(charges, grantedAt) {
      await store.run(refund, { charges, grantedAt, ...time() });
    },
    async slowDown(limits: readonly Limit[], pauseMs) {
      const sinceMs = await store.run<number>(slowDown, { limits, pauseMs, ...time() });
      return sinceMs >= 0 ? { sinceMs } : {};
    },
  };
}
