import { parseDemandJobId } from "@grp/core";
import { decodeLaunch, encodeNote, flatten, poolOf } from "./codec.ts";
import { PRELUDE } from "./prelude.ts";
import type { Script, Store, Stored } from "./store.ts";
import type { LaunchRecord, Ledger } from "./types.ts";

const open: Script = {
  name: "grpOpenLaunch",
  lua: `${PRELUDE}
local launch, pool = P .. 'launch:' .. A.launchId, A.pool

-- The launch is the demand's from now on, and it waits for nothing else.
local function belongTo(job)
  if redis.call('EXISTS', job) == 0 then return end
  local before = redis.call('HGET', job, 'launchIds')
  if not before then
    redis.call('HSET', job, 'launchIds', A.launchId)
  elseif not string.find(before, A.launchId, 1, true) then
    redis.call('HSET', job, 'launchIds', before .. ' ' .. A.launchId)
  end
  redis.call('HDEL', job, 'waitsFor')
end

local state = redis.call('HGET', launch, 'state')
-- A failed launch started nothing: it may be opened again, under the same id.
if state and state ~= 'failed' then return { 'exists', {} } end
for _, set in ipairs({ 'demand:', 'supply:' }) do
  redis.call('ZREMRANGEBYSCORE', P .. set .. pool, '-inf', '(' .. A.at - A.keepMs)
end
local missing = countDemand(pool, A.at) - redis.call('ZCARD', P .. 'supply:' .. pool)
local names, holders, leftOver = {}, {}, {}
for _, wanted in ipairs(A.runners) do
  local name, holder = wanted.name, wanted.placeHolder
  local place = P .. 'place:' .. holder
  -- One place, one machine: a queue job that two workers have at once must not start two.
  local before = redis.call('HGET', place, 'runner')
  local step = before and redis.call('HGET', P .. 'runner:' .. before, 'step')
  if step and step ~= 'gone' then
    leftOver[#leftOver + 1] = { holder, 'busy' }
  elseif #names >= missing then
    leftOver[#leftOver + 1] = { holder, 'covered' }
  else
    names[#names + 1], holders[#holders + 1] = name, holder
    redis.call('DEL', P .. 'runner:' .. name)
    redis.call('HSET', P .. 'runner:' .. name, 'step', 'launching', 't.launching', A.at, 'launchId', A.launchId,
      'placeHolder', holder, unpack(A.runnerFields))
    touch('runner', name)
    redis.call('ZADD', P .. 'supply:' .. pool, A.at, name)
    redis.call('ZADD', P .. 'live', A.at, name)
    if redis.call('EXISTS', place) == 1 then redis.call('HSET', place, 'runner', name) end
    belongTo(P .. 'job:' .. wanted.demandKey)
  end
end
if #names == 0 then forgetEmpty(pool) return { 'none', leftOver } end
redis.call('SADD', P .. 'pools', pool)
redis.call('DEL', launch)
redis.call('HSET', launch, 'state', 'open', 'size', #names, 'runnerNames', cjson.encode(names),
  'placeHolders', cjson.encode(holders), unpack(A.fields))
touch('launch', A.launchId)
return { 'opened', leftOver }`,
};

const placement: Script = {
  name: "grpRecordPlacement",
  lua: `${PRELUDE}
local launch = P .. 'launch:' .. A.launchId
if redis.call('EXISTS', launch) == 1 then redis.call('HSET', launch, 'placement', A.placement) end`,
};

/** The launch's runners that no instance belongs to. */
const UNUSED = `
local function unused(launch)
  local names = {}
  for _, name in ipairs(cjson.decode(redis.call('HGET', launch, 'runnerNames'))) do
    local step, instanceId = unpack(redis.call('HMGET', P .. 'runner:' .. name, 'step', 'instanceId'))
    if step and step ~= 'gone' and not instanceId then names[#names + 1] = name end
  end
  return names
end
`;

const launched: Script = {
  name: "grpRecordLaunched",
  lua: `${PRELUDE}${UNUSED}
local launch = P .. 'launch:' .. A.launchId
if redis.call('EXISTS', launch) == 0 then return {} end
local names, taken, shares = unused(launch), 0, {}
for _, instance in ipairs(A.instances) do
  local field = 'of:' .. instance.instanceId
  local name = redis.call('HGET', launch, field)
  if not name and taken < #names then
    taken = taken + 1
    name = names[taken]
    redis.call('HSET', launch, field, name)
  end
  if name then
    redis.call('HSET', P .. 'runner:' .. name, 'instanceId', instance.instanceId, unpack(instance.fields))
    advanceRunner(name, 'launched', A.at)
    shares[#shares + 1] = { redis.call('HGET', P .. 'runner:' .. name, 'placeHolder') or '', instance.instanceId }
  end
end
for i = taken + 1, #names do
  if advanceRunner(names[i], 'gone', A.at) then note(names[i], A.at, 'not-started', 'the provider started fewer') end
end
redis.call('HSET', launch, 'state', 'launched')
touch('launch', A.launchId)
return shares`,
};

const failed: Script = {
  name: "grpRecordLaunchFailed",
  lua: `${PRELUDE}${UNUSED}
local launch = P .. 'launch:' .. A.launchId
if redis.call('HGET', launch, 'state') ~= 'open' then return end
for _, name in ipairs(unused(launch)) do
  addNote(name, A.note)
  advanceRunner(name, 'gone', A.at)
end
redis.call('HSET', launch, 'state', 'failed')
touch('launch', A.launchId)`,
};

type Launches = Pick<
  Ledger,
  "openLaunch" | "recordPlacement" | "recordLaunched" | "recordLaunchFailed" | "getLaunch"
>;

type OpenReply = readonly [
  outcome: "exists" | "opened" | "none",
  leftOver: readonly (readonly [holder: string, why: "covered" | "busy"])[],
];

/** Launches, written down before the provider is called, and the supply that they are. */
export function createLaunches(store: Store): Launches {
  return {
    getLaunch: (launchId, only) => readLaunch(store, launchId, only),
    async openLaunch(order) {
      const scope = flatten("s", order.scope);
      const pool = poolOf(order.runnerClass, order.scope);
      const [outcome, leftOver] = await store.run<OpenReply>(open, {
        launchId: order.launchId,
        pool,
        at: order.at,
        runners: order.placeHolders.map((placeHolder, index) => ({
          placeHolder,
          demandKey: parseDemandJobId(placeHolder).key,
          name: order.runnerNames[index],
        })),
        runnerFields: ["provider", order.provider, "class", order.runnerClass, "pool", pool, ...scope],
        fields: [
          ...["provider", order.provider, "class", order.runnerClass, ...scope],
          ...["offeringIndex", String(order.offeringIndex), "renewal", String(order.renewal)],
          ...["openedAt", String(order.at), "ticketExpiresAt", String(order.ticketExpiresAt)],
        ],
      });
      if (outcome === "none") return { leftOver: new Map(leftOver) };
      const launch = await readLaunch(store, order.launchId);
      if (!launch) throw new Error(`launch ${order.launchId} vanished from the ledger`);
      return { opened: { isNew: outcome === "opened", launch }, leftOver: new Map(leftOver) };
    },
    async recordPlacement(launchId, text) {
      await store.run(placement, { launchId, placement: text });
    },
    async recordLaunched(launchId, instances, at) {
      const shares = await store.run<readonly (readonly [string, string])[]>(launched, {
        launchId,
        at,
        instances: instances.map(({ instanceId, launchId: _launchId, ...rest }) => ({
          instanceId,
          fields: flatten("i", rest),
        })),
      });
      return new Map(shares);
    },
    async recordLaunchFailed(launchId, note) {
      await store.run(failed, { launchId, at: note.at, note: encodeNote(note) });
    },
  };
}

/** The runners whose instances come with it: all, one holder's, or one instance's. */
export type Only = Parameters<Ledger["getLaunch"]>[1] | { readonly runnerName: string };

export async function readLaunch(store: Store, launchId: string, only?: Only): Promise<LaunchRecord | null> {
  const [stored] = await store.read("launch", [launchId]);
  if (stored?.hash.state === undefined) return null;
  const bare = decodeLaunch(launchId, stored.hash, []);
  if (bare.state !== "launched") return bare;
  const names = choose(bare, stored.hash, only);
  return decodeLaunch(launchId, stored.hash, await store.read("runner", names));
}

function choose(launch: LaunchRecord, hash: Stored["hash"], only: Only): readonly string[] {
  const { placeHolders, runnerNames } = launch;
  if (!only) return runnerNames;
  if ("runnerName" in only) return [only.runnerName];
  if ("instanceId" in only) return compact([hash[`of:${only.instanceId}`]]);
  return compact([runnerNames[placeHolders.indexOf(only.placeHolder)]]);
}

function compact(names: readonly (string | undefined)[]): readonly string[] {
  return names.filter((name) => name !== undefined);
}
