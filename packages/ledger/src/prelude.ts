import { RUNNER_STEPS } from "./types.ts";

/** Notes kept of one workflow job or runner: enough for the story, bounded for memory. */
const NOTES = 20;

const ranks = RUNNER_STEPS.map((step, rank) => `${step} = ${rank}`).join(", ");

/**
 * For so long a workflow job that runs on a runner of ours and was not named by any delivery counts as begun. Failed
 * deliveries are sent again within a minute or two; what was never ours to hear of must not hold up others for longer.
 */
export const UNHEARD_MS = 5 * 60_000;

/**
 * What every script begins with. `A` holds the arguments, `P` the key prefix: the only declared key, and all others
 * share its hash tag, so that Redis Cluster sends the script to the one node that has them all.
 *
 * A *pool* is one runner class in one scope, `<class>|<scope key>`: the unit in which demand and supply are counted.
 * Everything counted is a sorted set of names (ZCARD), never a counter, so that nothing can drift.
 *
 * Numbers: epoch ms have 13 digits, and Lua prints 14 without loss.
 */
export const PRELUDE = `
local P, A = KEYS[1], cjson.decode(ARGV[1])
local RANK = { ${ranks} }

-- Redis prints a number that a script gives it with 17 digits, which takes as long as many a command.
local function text(number) return string.format('%d', number) end

local function touch(kind, id)
  redis.call('PEXPIRE', P .. kind .. ':' .. id, A.keepMs)
end

local function read(kind, id)
  return { redis.call('HGETALL', P .. kind .. ':' .. id), redis.call('LRANGE', P .. 'notes:' .. id, 0, -1) }
end

local function addNote(id, json)
  redis.call('RPUSH', P .. 'notes:' .. id, json)
  redis.call('LTRIM', P .. 'notes:' .. id, -${NOTES}, -1)
  touch('notes', id)
end

local function note(id, at, kind, text)
  addNote(id, cjson.encode({ at = at, kind = kind, text = text }))
end

local function joinDemand(pool, score, key, ...)
  redis.call('ZADD', P .. 'demand:' .. pool, 'NX', score, key, ...)
  redis.call('SADD', P .. 'pools', pool)
end

local function forgetEmpty(pool)
  if redis.call('EXISTS', P .. 'demand:' .. pool, P .. 'supply:' .. pool) == 0 then
    redis.call('SREM', P .. 'pools', pool)
  end
end

-- Workflow jobs that wait, less those that run already, though no delivery has said which of them they are.
local function countDemand(pool, at)
  local unheard = redis.call('ZCOUNT', P .. 'unheard:' .. pool, '(' .. at - ${UNHEARD_MS}, '+inf')
  return math.max(redis.call('ZCARD', P .. 'demand:' .. pool) - unheard, 0)
end

local function leaveDemand(pool, key)
  if redis.call('ZREM', P .. 'demand:' .. pool, key) == 1 then forgetEmpty(pool) end
end

local function leaveSupply(pool, name)
  redis.call('ZREM', P .. 'claimed:' .. pool, name)
  if redis.call('ZREM', P .. 'supply:' .. pool, name) == 1 then forgetEmpty(pool) end
end

-- Forward only; a step that comes late leaves its time and nothing else. True when the runner moved.
local function advanceRunner(name, to, at)
  local key = P .. 'runner:' .. name
  local from, pool = unpack(redis.call('HMGET', key, 'step', 'pool'))
  if not from then return false end
  redis.call('HSETNX', key, 't.' .. to, at)
  if RANK[to] <= RANK[from] then return false end
  redis.call('HSET', key, 'step', to)
  if RANK[to] >= RANK.busy then leaveSupply(pool, name) end
  if to == 'gone' then redis.call('ZREM', P .. 'live', name) end
  touch('runner', name)
  return true
end
`;
