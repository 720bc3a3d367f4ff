import { parseDemandJobId } from "@grp/core";
import { decodeLaunch, encodeNote, flatten, poolOf } from "./codec.ts";
import { TRY_LOCK } from "./locks.ts";
import { PRELUDE } from "./prelude.ts";
import type { Script, Store, Stored } from "./store.ts";
import type { LaunchRecord, Ledger, OpenLaunch, OpenLaunchVerdict } from "./types.ts";

const open: Script = {
  name: "grpOpenLaunch",
  lua: `${PRELUDE}${TRY_LOCK}
local launch, pool, at = P .. 'launch:' .. A.launchId, A.pool, text(A.at)

-- One place, one machine: a queue job that two workers have at once must not start two.
local served, known = {}, {}
-- By place holder: many of the demands may have been in the same launch before.
local function runnersOf(id)
  if not known[id] then
    local names, holders = unpack(redis.call('HMGET', P .. 'launch:' .. id, 'runnerNames', 'placeHolders'))
    local runners, decoded = {}, names and cjson.decode(names)
    for at, holder in ipairs(holders and cjson.decode(holders) or {}) do runners[holder] = decoded[at] end
    known[id] = runners
  end
  return known[id]
end
local function hasMachine(holder, launchIds)
  if served[holder] then return true end
  for id in string.gmatch(launchIds or '', '%S+') do
    local name = runnersOf(id)[holder]
    local step = name and redis.call('HGET', P .. 'runner:' .. name, 'step')
    if step and step ~= 'gone' then return true end
  end
  return false
end

-- The launch is the demand's from now on, and it waits for nothing else.
local function belongTo(job, before, waitsFor)
  if not before then
    redis.call('HSET', job, 'launchIds', A.launchId)
  elseif not string.find(before, A.launchId, 1, true) then
    redis.call('HSET', job, 'launchIds', before .. ' ' .. A.launchId)
  end
  if waitsFor then redis.call('HDEL', job, 'waitsFor') end
end

local state = redis.call('HGET', launch, 'state')
-- A failed launch started nothing: it may be opened again, under the same id.
if state and state ~= 'failed' then return { 'exists', {}, 0 } end
for _, set in ipairs({ 'demand:', 'supply:' }) do
  redis.call('ZREMRANGEBYSCORE', P .. set .. pool, '-inf', '(' .. A.at - A.keepMs)
end
local missing = countDemand(pool, A.at) - redis.call('ZCARD', P .. 'supply:' .. pool)
local names, holders, leftOver, scored = {}, {}, {}, {}
for index, wanted in ipairs(A.runners) do
  local name, holder, job = wanted.name, wanted.placeHolder, P .. 'job:' .. wanted.demandKey
  local jobState, before, waitsFor = unpack(redis.call('HMGET', job, 'state', 'launchIds', 'waitsFor'))
  if hasMachine(holder, before) then
    leftOver[#leftOver + 1] = { index - 1, 'busy' }
  elseif #names >= missing then
    leftOver[#leftOver + 1] = { index - 1, 'covered' }
  else
    names[#names + 1], holders[#holders + 1], served[holder] = name, holder, true
    scored[#scored + 1] = at
    scored[#scored + 1] = name
    if state then redis.call('DEL', P .. 'runner:' .. name) end
    redis.call('HSET', P .. 'runner:' .. name, 'step', 'launching', 't.launching', at, 'launchId', A.launchId,
      'placeHolder', holder, unpack(A.runnerFields))
    touch('runner', name)
    if jobState then belongTo(job, before, waitsFor) end
  end
end
if #names == 0 then forgetEmpty(pool) return { 'none', leftOver, 0 } end
redis.call('ZADD', P .. 'supply:' .. pool, unpack(scored))
redis.call('ZADD', P .. 'live', unpack(scored))
redis.call('SADD', P .. 'pools', pool)
redis.call('DEL', launch)
redis.call('HSET', launch, 'state', 'open', 'size', #names, 'runnerNames', cjson.encode(names),
  'placeHolders', cjson.encode(holders), unpack(A.fields))
touch('launch', A.launchId)
return { 'opened', leftOver, A.lock and tryLock(A.lock.name, A.lock.owner, A.lock.ttlMs) and 1 or 0 }`,
};

const placement: Script = {
  name: "grpRecordPlacement",
  lua: `${PRELUDE}
local launch = P .. 'launch:' .. A.launchId
if redis.call('EXISTS', launch) == 1 then redis.call('HSET', launch, 'placement', A.placement) end`,
};

/** The launch's runners that no instance belongs to: their names, and by name their steps and place holders. */
const UNUSED = `
local function unused(launch)
  local names, steps, holders = {}, {}, {}
  for _, name in ipairs(cjson.decode(redis.call('HGET', launch, 'runnerNames'))) do
    local step, instanceId, holder =
      unpack(redis.call('HMGET', P .. 'runner:' .. name, 'step', 'instanceId', 'placeHolder'))
    if step and step ~= 'gone' and not instanceId then
      names[#names + 1], steps[name], holders[name] = name, step, holder
    end
  end
  return names, steps, holders
end
`;

const launched: Script = {
  name: "grpRecordLaunched",
  lua: `${PRELUDE}${UNUSED}
local launch, at = P .. 'launch:' .. A.launchId, text(A.at)
if redis.call('EXISTS', launch) == 0 then return {} end
local names, steps, holders = unused(launch)
local taken, shares = 0, {}

-- The demand that the machine is for waits for nothing else any more: a throttle may have held up a launch that was tried
-- before.
local function release(holder)
  redis.call('HDEL', P .. 'job:' .. (string.match(holder, '^(wfj%-%d+)%-g%d+$') or holder), 'waitsFor')
end

local function record(name, instance)
  local runner = P .. 'runner:' .. name
  if steps[name] == 'launching' then
    -- It was touched when its launch was opened.
    redis.call('HSET', runner, 'instanceId', instance.instanceId, 'step', 'launched', 't.launched', at,
      unpack(instance.fields))
  else
    redis.call('HSET', runner, 'instanceId', instance.instanceId, unpack(instance.fields))
    advanceRunner(name, 'launched', A.at)
  end
  local holder = holders[name] or redis.call('HGET', runner, 'placeHolder') or ''
  if not A.isFirstTry then release(holder) end
  return { holder, instance.instanceId }
end

local fields, mapped = {}, { 'state', 'launched' }
for i, instance in ipairs(A.instances) do fields[i] = 'of:' .. instance.instanceId end
local known, of = #fields > 0 and redis.call('HMGET', launch, unpack(fields)), {}
for i, instance in ipairs(A.instances) do
  local name = known[i] or of[fields[i]]
  if not name and taken < #names then
    taken = taken + 1
    name = names[taken]
    of[fields[i]] = name
    mapped[#mapped + 1] = fields[i]
    mapped[#mapped + 1] = name
  end
  if name then shares[#shares + 1] = record(name, instance) end
end
for i = taken + 1, #names do
  if advanceRunner(names[i], 'gone', A.at) then note(names[i], A.at, 'not-started', 'the provider started fewer') end
end
redis.call('HSET', launch, unpack(mapped))
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
  leftOver: readonly (readonly [index: number, why: "covered" | "busy"])[],
  isLocked: 0 | 1,
];

/** Launches, written down before the provider is called, and the supply that they are. */
export function createLaunches(store: Store): Launches {
  return {
    getLaunch: (launchId, only) => readLaunch(store, launchId, only),
    openLaunch: (order) => openLaunch(store, order),
    async recordPlacement(launchId, text) {
      await store.run(placement, { launchId, placement: text });
    },
    async recordLaunched(launchId, instances, at, { isFirstTry = false } = {}) {
      const shares = await store.run<readonly (readonly [string, string])[]>(launched, {
        launchId,
        at,
        isFirstTry,
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

async function openLaunch(store: Store, order: OpenLaunch): Promise<OpenLaunchVerdict> {
  const scope = flatten("s", order.scope);
  const pool = poolOf(order.runnerClass, order.scope);
  const [outcome, left, isLocked] = await store.run<OpenReply>(open, {
    launchId: order.launchId,
    pool,
    at: order.at,
    lock: order.lock,
    runners: order.placeHolders.map((placeHolder, index) => ({
      placeHolder,
      demandKey: parseDemandJobId(placeHolder).key,
      name: order.runnerNames[index],
    })),
    runnerFields: ["provider", order.provider, "class", order.runnerClass, "pool", pool, ...scope],
    fields: [
      ...["provider", order.provider, "class", order.runnerClass, ...scope],
      ...["offeringIndex", String(order.offeringIndex), "offeringDigest", order.offeringDigest],
      ...["renewal", String(order.renewal)],
      ...["openedAt", String(order.at), "ticketExpiresAt", String(order.ticketExpiresAt)],
    ],
  });
  const leftOver = new Map(left.map(([index, why]) => [order.placeHolders[index] ?? "", why]));
  if (outcome === "none") return { leftOver };
  const launch = outcome === "opened" ? asOpened(order, left) : await readLaunch(store, order.launchId);
  if (!launch) throw new Error(`launch ${order.launchId} vanished from the ledger`);
  return { opened: { isNew: outcome === "opened", isLocked: isLocked === 1, launch }, leftOver };
}

/** What `readLaunch` would give. */
function asOpened({ at, lock: _lock, ...order }: OpenLaunch, left: OpenReply[1]): LaunchRecord {
  const leftOver = new Set(left.map(([index]) => index));
  const isIn = (_name: string, index: number) => !leftOver.has(index);
  const placeHolders = order.placeHolders.filter(isIn);
  const runnerNames = order.runnerNames.filter(isIn);
  return { ...order, placeHolders, runnerNames, size: placeHolders.length, openedAt: at, state: "open" };
}

/** The runners whose instances come with it: all, one holder's, or one instance's. */
export type Only = Parameters<Ledger["getLaunch"]>[1] | { readonly runnerName: string };

export async function readLaunch(store: Store, launchId: string, only?: Only): Promise<LaunchRecord | null> {
  const [stored] = await store.read("launch", [launchId], asStored);
  if (stored?.hash.state === undefined) return null;
  const bare = decodeLaunch(launchId, stored.hash, []);
  if (bare.state !== "launched") return bare;
  const names = choose(bare, stored.hash, only);
  return decodeLaunch(launchId, stored.hash, await store.read("runner", names, asStored));
}

const asStored = (_id: string, stored: Stored) => stored;

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
