import { randomUUID } from "node:crypto";
import type { Budget, Limit, SpendVerdict } from "@grp/core";
import { createStore, type RedisClient, type Script } from "./store.ts";

/** One refusal tells of many calls that were under way: within this time they count as one. */
const SAME_REFUSAL_MS = 5_000;

/** From nothing to all: a limit that was halved is whole again after half of it. */
const RECOVERY_MS = 600_000;

/** However often it was refused, a limit keeps this part, or it could never find out that it may rise. */
const LEAST_FACTOR = 0.1;

/** Longer than any window and than the recovery: what nobody has used for so long is as good as new. */
const KEEP_MS = 3_600_000;

/** How soon to ask again where nobody can say when one of those under way ends. */
const PARALLEL_RETRY_MS = 200;

/**
 * Per limit, `limit:<name>`: `factor` and `factorAt` (how much of it we believe in), `pausedUntil`; a bucket's `tokens`
 * and `at`; a window's sums `used` and `background`. `spent:<name>` holds what a window counts (`<lease>:<cost>:<kind>`
 * by time), `line:<name>` who waits before it, by order, and `line:<name>:seen` until when each may come back;
 * `leases:<name>` what is under way. The clock is Redis' own, so that no two processes differ.
 */
const LIMITS = `
local P, A = KEYS[1], cjson.decode(ARGV[1])
local now = A.now
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function keyOf(limit) return P .. 'limit:' .. limit.name end

local function number(limit, field) return tonumber(redis.call('HGET', keyOf(limit), field) or nil) end

local kind = A.background and 'b' or 'f'
local function spentKey(limit) return P .. 'spent:' .. limit.name end
local function leasesKey(limit) return P .. 'leases:' .. limit.name end

local function factorOf(limit)
  local factor, at = number(limit, 'factor'), number(limit, 'factorAt')
  if not factor then return 1 end
  return math.min(1, factor + (now - at) / ${RECOVERY_MS})
end
`;

const spend: Script = {
  name: "grpSpend",
  lua: `${LIMITS}
local function pausedMs(limit) return math.max(0, (number(limit, 'pausedUntil') or 0) - now) end

-- Each gives how much may be taken now, and how long until that much more may be.
local bucket, afterMs, holdMs = {}, 0, A.holdMs or 0
local function rateOf(limit) return limit.perSecond * factorOf(limit) / 1000 end
function bucket.have(charge)
  local limit = charge.limit
  local tokens, at = number(limit, 'tokens') or limit.capacity, number(limit, 'at') or now
  local refilled = math.min(limit.capacity, tokens + math.max(0, now - at) * rateOf(limit))
  return refilled + holdMs * rateOf(limit)
end
function bucket.waitMs(charge, missing) return missing / rateOf(charge.limit) end
function bucket.take(charge, amount, have)
  local left = have - holdMs * rateOf(charge.limit) - amount
  afterMs = math.max(afterMs, -left / rateOf(charge.limit))
  redis.call('HSET', keyOf(charge.limit), 'tokens', left, 'at', now)
end

local window = {}
local function lineKey(limit) return P .. 'line:' .. limit.name end
local function leave(limit, member)
  redis.call('ZREM', lineKey(limit), member)
  redis.call('ZREM', lineKey(limit) .. ':seen', member)
end
local function costOf(entry) return tonumber(string.match(entry, ':(%d+):')) end

local function forgetOld(limit)
  for _, entry in ipairs(redis.call('ZRANGEBYSCORE', spentKey(limit), '-inf', now - limit.windowMs)) do
    redis.call('HINCRBY', keyOf(limit), 'used', -costOf(entry))
    if string.sub(entry, -1) == 'b' then redis.call('HINCRBY', keyOf(limit), 'background', -costOf(entry)) end
    redis.call('ZREM', spentKey(limit), entry)
  end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', lineKey(limit) .. ':seen', '-inf', now)) do leave(limit, member) end
end

local function mostOf(charge)
  return math.max(charge.cost, math.floor(charge.limit.most * factorOf(charge.limit)))
end

-- Those ahead in line are taken to want as much each.
local function ahead(charge)
  if not A.turn then return 0 end
  redis.call('ZADD', lineKey(charge.limit), A.turn.order, A.turn.member)
  return redis.call('ZRANK', lineKey(charge.limit), A.turn.member) * charge.cost
end

function window.have(charge)
  local limit = charge.limit
  forgetOld(limit)
  local have = mostOf(charge) - (number(limit, 'used') or 0) - ahead(charge)
  if not A.background then return have end
  local isLine = redis.call('EXISTS', lineKey(limit)) == 1
  local share = isLine and A.background.shareInLine or A.background.share
  return math.min(have, math.floor(limit.most * share) - (number(limit, 'background') or 0))
end

-- What is spent comes free in the order it was spent. Those ahead spend what is free about now, and then that again.
function window.waitMs(charge, missing)
  local limit, most, rounds = charge.limit, mostOf(charge), 1
  while missing > most do missing, rounds = missing - most, rounds + 1 end
  local freeAt, entries = now, redis.call('ZRANGE', spentKey(limit), 0, -1, 'WITHSCORES')
  for i = 1, #entries, 2 do
    missing = missing - costOf(entries[i])
    if missing <= 0 then freeAt = tonumber(entries[i + 1]) break end
  end
  local waitMs = freeAt + rounds * limit.windowMs - now
  -- The line may be gone any moment.
  return A.background and math.min(waitMs, limit.windowMs / 12) or waitMs
end

function window.take(charge, amount)
  local limit = charge.limit
  redis.call('ZADD', spentKey(limit), now, A.lease .. ':' .. amount .. ':' .. kind)
  redis.call('HINCRBY', keyOf(limit), 'used', amount)
  if A.background then redis.call('HINCRBY', keyOf(limit), 'background', amount) end
  if A.turn then leave(limit, A.turn.member) end
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

local waitMs, amounts, haves = 0, {}, {}
for i, charge in ipairs(A.charges) do
  local ways, least = KINDS[charge.limit.kind], charge.least or charge.cost
  local have = ways.have(charge)
  haves[i], amounts[i] = have, math.min(charge.cost, math.floor(have))
  if have < least then waitMs = math.max(waitMs, 1, ways.waitMs(charge, least - have)) end
  if pausedMs(charge.limit) > holdMs then waitMs = math.max(waitMs, pausedMs(charge.limit)) end
  afterMs = math.max(afterMs, pausedMs(charge.limit))
end
for i, charge in ipairs(A.charges) do
  if waitMs == 0 then KINDS[charge.limit.kind].take(charge, amounts[i], haves[i]) end
  if waitMs > 0 and A.turn and charge.limit.kind == 'window' then
    redis.call('ZADD', lineKey(charge.limit) .. ':seen', now + waitMs + A.turn.patienceMs, A.turn.member)
    redis.call('PEXPIRE', lineKey(charge.limit), ${KEEP_MS})
    redis.call('PEXPIRE', lineKey(charge.limit) .. ':seen', ${KEEP_MS})
  end
  if redis.call('EXISTS', keyOf(charge.limit)) == 1 then redis.call('PEXPIRE', keyOf(charge.limit), ${KEEP_MS}) end
end
if waitMs > 0 then return { 0, math.ceil(waitMs) } end
return { 1, amounts[#amounts] or 0, math.ceil(afterMs) }`,
};

const giveBack: Script = {
  name: "grpGiveBack",
  lua: `${LIMITS}
for _, charge in ipairs(A.charges) do
  local limit = charge.limit
  if limit.kind == 'parallel' then redis.call('ZREM', leasesKey(limit), A.lease) end
  if limit.kind == 'window' then
    redis.call('ZADD', spentKey(limit), 'XX', 'GT', now, A.lease .. ':' .. charge.cost .. ':' .. kind)
  end
end`,
};

const slowDown: Script = {
  name: "grpSlowDown",
  lua: `${LIMITS}
for _, limit in ipairs(A.limits) do
  local key, refusedAt = keyOf(limit), number(limit, 'refusedAt') or 0
  if now - refusedAt >= ${SAME_REFUSAL_MS} then
    local factor = math.max(${LEAST_FACTOR}, factorOf(limit) / 2)
    redis.call('HSET', key, 'factor', factor, 'factorAt', now, 'refusedAt', now)
  end
  if limit.kind == 'bucket' then redis.call('HSET', key, 'tokens', 0, 'at', now) end
  local paused = math.max(number(limit, 'pausedUntil') or 0, now + A.pauseMs)
  redis.call('HSET', key, 'pausedUntil', paused)
  redis.call('PEXPIRE', key, ${KEEP_MS})
end`,
};

type SpendReply = readonly [isGranted: 0 | 1, amountOrWaitMs: number, afterMs?: number];

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
      const [isGranted, value, afterMs = 0] = await store.run<SpendReply>(spend, args);
      return isGranted === 1
        ? { granted: true, amount: value, afterMs, lease }
        : { granted: false, waitMs: value };
    },
    async giveBack(lease, { charges, background }) {
      await store.run(giveBack, { lease, charges, background, ...time() });
    },
    async slowDown(limits: readonly Limit[], pauseMs) {
      await store.run(slowDown, { limits, pauseMs, ...time() });
    },
  };
}
