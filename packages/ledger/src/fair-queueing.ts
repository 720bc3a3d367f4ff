/**
 * How long a waiter keeps its turn without asking again, be it in line or granted by somebody's release. Whoever asks
 * later than that comes back at the same tag; a waiter that is gone for good blocks the others no longer.
 */
export const WAITER_TTL_MS = 10 * 60_000;

/** A waiter that gave its places back and comes again, after the longest back-off, finds its turn as it was. */
export const TURN_TTL_MS = 2 * 3_600_000;

/** Of one flow, that move up when one of them leaves: what a script may do at once. */
const MOST_MOVED_UP = 500;

/** Times that a waiter may be moved from one line to another before what it had room for is kept. */
const MOST_MOVES = 2;

/**
 * Per cap: `held` (holder → expiry), `line` (`<arrival>:<holder>`, by rank and tag, equals by arrival), `seen` (the
 * same members → when they lose their turn), `of:<flow>` (those of the flow, by arrival) and `fair` (`now`: the tag served
 * last; `last:<flow>`: the flow's last tag; `kept`: who was the last to have a place kept).
 * Per holder, `place:<holder>`: its caps, its tags and its number; `turn:<holder>`: the tags of one who comes back.
 *
 * All or nothing: a place is had under every cap at once, or (but for the kept ones below) under none. Who is refused stands in one line, of the first
 * cap that refuses. When its turn comes there and another cap refuses, it moves to that one's line and lets the next in;
 * `away:<cap>` says that the flow still counts its tag in the line it left. So a cap with room has nobody in its line.
 *
 * Whose caps are full by different crowds would move to and fro for ever. After a few moves (`moves`) the places before the
 * cap that refuses are kept for it (`keeps`) once it is the first in line there, one under each cap at a time. Nobody waits for a cap while keeping a place of
 * a later one, and all name their caps in the same order, the narrow before the wide: so none of them wait for each other.
 *
 * Start-time fair queueing: a flow's next waiter gets the tag after the flow's last, or after the one served now if that
 * is later. So flows that wait are served in turn, however many of one wait; and none saves up turns while it is idle.
 * When one leaves without being served, those of its flow behind it move up.
 */
export const PLACES = `
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
  local f = redis.call('HMGET', P .. 'place:' .. holder, 'member', 'flow', 'rank', 'ttlMs', 'provider', 'caps', 'limits',
    'moves', 'keeps')
  if not f[1] then return nil end
  return { holder = holder, member = f[1], flow = f[2], rank = tonumber(f[3]), ttlMs = tonumber(f[4]), provider = f[5],
    caps = cjson.decode(f[6]), limits = f[7] and cjson.decode(f[7]) or {}, moves = tonumber(f[8] or 0), keeps = f[9] }
end

local function fair(cap, field) return tonumber(redis.call('HGET', part(cap, 'fair'), field) or 0) end

-- A line's score is made of both.
local RANKS = 1e9
local function scoreOf(place, tag) return place.rank * RANKS + tag end
local function rankIn(score) return math.floor(score / RANKS) end
local function tagIn(score) return score % RANKS end

-- Who was away finds its turn as it was, and is never behind one who comes only now.
local function nextTag(cap, place)
  local score = redis.call('ZSCORE', part(cap, 'line'), place.member)
  if score then return tagIn(score), true end
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

local function setLast(cap, place, last)
  local field = 'last:' .. place.flow
  if last <= fair(cap, 'now') then
    redis.call('HDEL', part(cap, 'fair'), field)
  else
    redis.call('HSET', part(cap, 'fair'), field, last)
  end
end

local function joinLine(cap, place, untilMs)
  local flow = part(cap, 'of:' .. place.flow)
  redis.call('ZADD', part(cap, 'line'), scoreOf(place, tagOf(cap, place)), place.member)
  redis.call('ZADD', part(cap, 'seen'), untilMs, place.member)
  redis.call('ZADD', flow, 0, place.member)
  redis.call('PEXPIRE', flow, ${TURN_TTL_MS})
end

local function leaveLine(cap, place)
  redis.call('ZREM', part(cap, 'seen'), place.member)
  if place.flow then redis.call('ZREM', part(cap, 'of:' .. place.flow), place.member) end
  return redis.call('ZREM', part(cap, 'line'), place.member) == 1
end

-- What a flow does not wait for any more holds up nothing of it that comes later: those behind share the tags among
-- them, by arrival, and the last of the tags is nobody's.
local function moveUp(cap, place, tag)
  local behind = redis.call('ZRANGEBYLEX', part(cap, 'of:' .. place.flow), '(' .. place.member, '+',
    'LIMIT', 0, ${MOST_MOVED_UP})
  local members, ranks, tags = {}, {}, { tag }
  for at, score in ipairs(#behind > 0 and redis.call('ZMSCORE', part(cap, 'line'), unpack(behind)) or {}) do
    if score and tagIn(score) > tag then
      members[#members + 1], ranks[#ranks + 1], tags[#tags + 1] = behind[at], rankIn(score), tagIn(score)
    end
  end
  table.sort(tags)
  local moved = {}
  for at, member in ipairs(members) do
    moved[2 * at - 1], moved[2 * at] = text(ranks[at] * RANKS + tags[at]), member
  end
  if #moved > 0 then redis.call('ZADD', part(cap, 'line'), unpack(moved)) end
  setLast(cap, place, fair(cap, 'last:' .. place.flow) - 1)
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
  -- Who holds a place stands in no line for it.
  if redis.call('ZREM', part(cap, 'held'), place.holder) == 1 then return end
  local tag = nextTag(cap, place)
  if leaveLine(cap, place) or comeBack(cap, place) then moveUp(cap, place, tag) end
end

-- Caps that may have room now for those in their lines.
local freed = {}
local function stepAside(cap, place)
  if redis.call('ZREM', part(cap, 'held'), place.holder) == 1 then
    freed[#freed + 1] = cap
    return false
  end
  local tag = nextTag(cap, place)
  if not leaveLine(cap, place) then return false end
  redis.call('HSET', P .. 'place:' .. place.holder, 'tag:' .. cap, tag, 'away:' .. cap, 1)
  return true
end

local dropped = {}
local function dropExpired(cap)
  if dropped[cap] then return end
  dropped[cap] = true
  if redis.call('ZREMRANGEBYSCORE', part(cap, 'held'), '-inf', A.at) > 0 then freed[#freed + 1] = cap end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', part(cap, 'seen'), '-inf', A.at)) do
    local place = loadPlace(string.sub(member, 18))
    -- One that was forgotten and came again stands there under another number.
    if place and place.member == member then
      stepAside(cap, place)
    else
      leaveLine(cap, { member = member, flow = place and place.flow })
    end
  end
end

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

local function hold(cap, place, untilMs)
  if redis.call('ZADD', part(cap, 'held'), 'GT', untilMs, place.holder) == 0 then return end
  local tag = tagOf(cap, place)
  redis.call('HSET', part(cap, 'fair'), 'now', math.max(fair(cap, 'now'), tag))
  setLast(cap, place, fair(cap, 'last:' .. place.flow))
  leaveLine(cap, place)
  comeBack(cap, place)
end

local function isKeptForAnother(cap, place)
  local keeper = redis.call('HGET', part(cap, 'fair'), 'kept')
  return keeper and keeper ~= place.holder and redis.call('HEXISTS', P .. 'place:' .. keeper, 'keeps') == 1
    and redis.call('ZSCORE', part(cap, 'held'), keeper)
end

-- Whether it may keep places of the caps before the one that refuses: only who is the first there waits no longer than for
-- the next machine's end.
local function mayKeep(place, refusing, ahead)
  if ahead > 0 or place.moves < ${MOST_MOVES} then return false end
  for index = 1, refusing - 1 do
    if isKeptForAnother(place.caps[index], place) then return false end
  end
  return true
end

local function keep(cap, place, untilMs)
  hold(cap, place, untilMs)
  redis.call('HSET', part(cap, 'fair'), 'kept', place.holder)
  redis.call('HSET', P .. 'place:' .. place.holder, 'keeps', 1)
end

local function standAt(index, place, untilMs, ahead)
  local isKeeping, hasMoved = mayKeep(place, index, ahead), false
  for other, cap in ipairs(place.caps) do
    if other < index and isKeeping then
      keep(cap, place, untilMs)
    elseif other ~= index then
      hasMoved = stepAside(cap, place) or hasMoved
    end
  end
  if hasMoved then redis.call('HINCRBY', P .. 'place:' .. place.holder, 'moves', 1) end
  joinLine(place.caps[index], place, untilMs)
  comeBack(place.caps[index], place)
end

-- Nil when every cap is held now, else the one waited for and how many stand ahead.
local function acquireAll(place)
  local untilMs = A.at + math.min(place.ttlMs, ${WAITER_TTL_MS})
  for index, cap in ipairs(place.caps) do
    local ahead = refuse(cap, place)
    if ahead then
      standAt(index, place, untilMs, ahead)
      return cap, ahead
    end
  end
  for _, cap in ipairs(place.caps) do hold(cap, place, untilMs) end
  if place.keeps then redis.call('HDEL', P .. 'place:' .. place.holder, 'keeps') end
  return nil
end
`;
