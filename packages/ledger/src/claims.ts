import { readLaunch } from "./launches.ts";
import { PRELUDE } from "./prelude.ts";
import { readRunner } from "./runners.ts";
import type { Script, Store } from "./store.ts";
import type { ClaimVerdict, Ledger } from "./types.ts";

/**
 * `claimed:<pool>` holds the runners that are claimed and not busy yet. Its score is when the entry stops counting:
 * the end of the lock while the mint is under way, never once it is done.
 */
const begin: Script = {
  name: "grpBeginClaim",
  lua: `${PRELUDE}
local launch, at = P .. 'launch:' .. A.launchId, A.at
local provider, state, names, name =
  unpack(redis.call('HMGET', launch, 'provider', 'state', 'runnerNames', 'of:' .. A.instanceId))
if not provider then return { 'unknown-launch' } end

local function refuse()
  redis.call('HINCRBY', launch, 'refused', 1)
  return { 'taken' }
end

-- EC2 tells its instances with the launch. CodeMagic may start a build twice: the first that comes has the runner.
if not name and provider == 'codemagic' then
  for _, candidate in ipairs(cjson.decode(names)) do
    local step, instanceId = unpack(redis.call('HMGET', P .. 'runner:' .. candidate, 'step', 'instanceId'))
    if step and RANK[step] < RANK.claimed and not instanceId then
      name = candidate
      redis.call('HSET', launch, 'of:' .. A.instanceId, name)
      redis.call('HSET', P .. 'runner:' .. name, 'instanceId', A.instanceId)
      break
    end
  end
elseif not name and state == 'open' then
  return { 'not-recorded' }
end
if not name then
  if state == 'failed' then return { 'not-wanted' } end
  return refuse()
end

local runner = P .. 'runner:' .. name
local step, lockedUntil, runnerId, pool = unpack(redis.call('HMGET', runner, 'step', 'lockedUntil', 'runnerId', 'pool'))
if not step then return { 'unknown-launch' } end
if RANK[step] >= RANK.finished then return { 'not-wanted' } end
-- Online or busy: a job may be running there, and it must not get a second registration by its machine's ticket.
if RANK[step] > RANK.claimed then return refuse() end
if lockedUntil and tonumber(lockedUntil) > at then return { 'in-progress' } end

local claimed = P .. 'claimed:' .. pool
redis.call('ZREM', claimed, name)
if redis.call('ZCOUNT', claimed, '(' .. at, '+inf') >= countDemand(pool, at) then
  note(name, at, 'not-wanted', 'enough idle runners for the demand')
  advanceRunner(name, 'finished', at)
  return { 'not-wanted' }
end
redis.call('ZADD', claimed, at + A.lockMs, name)
redis.call('HSET', runner, 'lockedUntil', at + A.lockMs)
return { 'granted', name, redis.call('HINCRBY', runner, 'claims', 1), runnerId or '' }`,
};

/** A process that was frozen for longer than its lock must not undo what the machine's next claim has done elsewhere. */
const IS_LATEST = `
local function isLatest(claims)
  return tonumber(claims or 0) == A.claimNumber
end
`;

const finish: Script = {
  name: "grpFinishClaim",
  lua: `${PRELUDE}${IS_LATEST}
local runner = P .. 'runner:' .. A.runnerName
if redis.call('EXISTS', runner) == 0 then return 'ended' end
if not isLatest(redis.call('HGET', runner, 'claims')) then return 'overtaken' end
redis.call('HSET', runner, 'runnerId', A.runnerId)
redis.call('HDEL', runner, 'lockedUntil')
advanceRunner(A.runnerName, 'claimed', A.at)
local step, pool = unpack(redis.call('HMGET', runner, 'step', 'pool'))
if RANK[step] < RANK.busy then redis.call('ZADD', P .. 'claimed:' .. pool, '+inf', A.runnerName) end
return RANK[step] < RANK.finished and 'registered' or 'ended'`,
};

const abandon: Script = {
  name: "grpAbandonClaim",
  lua: `${PRELUDE}${IS_LATEST}
local runner = P .. 'runner:' .. A.runnerName
local pool, claims = unpack(redis.call('HMGET', runner, 'pool', 'claims'))
if not pool or not isLatest(claims) then return 0 end
redis.call('HDEL', runner, 'lockedUntil')
redis.call('ZREM', P .. 'claimed:' .. pool, A.runnerName)
if A.comesBackAt then redis.call('HSET', runner, 'comesBackAt', A.comesBackAt) end
return 1`,
};

const forget: Script = {
  name: "grpForgetRegistration",
  lua: `${PRELUDE}
local runner = P .. 'runner:' .. A.runnerName
local runnerId = redis.call('HGET', runner, 'runnerId')
if runnerId and tonumber(runnerId) == A.runnerId then redis.call('HDEL', runner, 'runnerId') end`,
};

type Reply =
  | ["granted", runnerName: string, claimNumber: number, runnerId: string]
  | [Exclude<ClaimVerdict["outcome"], "granted">];

/** The trade of a ticket for a registration: one mint at a time for a machine, no more of them than are wanted. */
export function createClaims(
  store: Store,
): Pick<Ledger, "beginClaim" | "finishClaim" | "abandonClaim" | "forgetRegistration"> {
  return {
    async beginClaim(claim) {
      const reply = await store.run<Reply>(begin, claim);
      if (reply[0] !== "granted") return { outcome: reply[0] };
      const [outcome, runnerName, claimNumber, runnerId] = reply;
      const [launch, runner] = await Promise.all([
        readLaunch(store, claim.launchId, { runnerName }),
        readRunner(store, runnerName),
      ]);
      if (!launch || !runner) return { outcome: "unknown-launch" };
      const previous = runnerId === "" ? {} : { previousRunnerId: Number(runnerId) };
      return { outcome, launch, runner, claimNumber, ...previous };
    },
    finishClaim: (claim) => store.run(finish, claim),
    async abandonClaim({ runnerName, claimNumber }, comesBackAt) {
      return (await store.run<number>(abandon, { runnerName, claimNumber, comesBackAt })) === 1;
    },
    async forgetRegistration(registration) {
      await store.run(forget, registration);
    },
  };
}
