/** From nothing to all: a limit that was halved is whole again after half of it. */
export const RECOVERY_MS = 600_000;

/** Longer than any window (CodeMagic's is an hour) and than the recovery: what nobody has used for so long is as good as new. */
export const KEEP_MS = 2 * 3_600_000;

/** A scout that is not back by then is lost: a request to GitHub or CodeMagic may take 20 s. */
export const SCOUT_MS = 25_000;

/** How soon to ask again while a scout is out: mostly it is back sooner. */
const SCOUT_RETRY_MS = 1_000;

/**
 * Per limit, `limit:<name>`: `factor` and `factorAt` (how much of it we believe in, and since when), `refusedAt`,
 * `pausedUntil`; a bucket's `tokens` and `at`, and when a refusal emptied it (`emptiedAt`); a window's sums `used` and
 * `background`, and what is `left` until `resetAt` of what the other side `allowed`, by our count since it was last
 * `heard`; where that is 1, `scout` and `scoutUntil`: whose lease asks the other side.
 * `spent:<name>` holds what a window counts (`<lease>:<cost>:<kind>` by time), `line:<name>` who waits before it, by
 * order, and `line:<name>:seen` until when each may come back; `leases:<name>` what is under way; `limits` the windows by
 * their last use. The clock is Redis' own, so that no two processes differ.
 */
export const LIMITS = `
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
local function lineKey(limit) return P .. 'line:' .. (limit.line or limit.name) end
local function costOf(entry) return tonumber(string.match(entry, ':(%d+):')) end

-- Because we were refused, because the other side says that nothing is left, or because one is out to ask whether.
local function pausedUntil(limit)
  local left, untilMs = number(limit, 'left'), number(limit, 'pausedUntil') or 0
  if left and left <= 0 then return math.max(untilMs, number(limit, 'resetAt') or 0) end
  local scoutUntil = left == 1 and number(limit, 'scoutUntil') or 0
  return math.max(untilMs, math.min(scoutUntil, now + ${SCOUT_RETRY_MS}))
end

local function factorOf(limit)
  local factor, at = number(limit, 'factor'), number(limit, 'factorAt')
  if not factor then return 1 end
  return math.min(1, factor + (now - at) / ${RECOVERY_MS})
end

-- People are shown it among the windows.
local function show(limit)
  redis.call('ZADD', P .. 'limits', now, limit.name)
  redis.call('PEXPIRE', P .. 'limits', ${KEEP_MS})
end

-- A bucket's, a millisecond.
local function rateOf(limit) return limit.perSecond * factorOf(limit) / 1000 end

local function tokensOf(limit)
  local tokens, at = number(limit, 'tokens') or limit.capacity, number(limit, 'at') or now
  return math.min(limit.capacity, tokens + math.max(0, now - at) * rateOf(limit))
end
`;
