import { decodeLaunch, encodeNote, flatten, poolOf } from "./codec.ts";
import { PRELUDE } from "./prelude.ts";
import type { Script, Store } from "./store.ts";
import type { LaunchRecord, Ledger } from "./types.ts";

const open: Script = {
  name: "grpOpenLaunch",
  lua: `${PRELUDE}
local launch, pool = P .. 'launch:' .. A.launchId, A.pool
local state = redis.call('HGET', launch, 'state')
-- A failed launch started nothing: it may be opened again, under the same id.
if state and state ~= 'failed' then return 'exists' end
for _, set in ipairs({ 'demand:', 'supply:' }) do
  redis.call('ZREMRANGEBYSCORE', P .. set .. pool, '-inf', '(' .. A.at - A.keepMs)
end
local missing = redis.call('ZCARD', P .. 'demand:' .. pool) - redis.call('ZCARD', P .. 'supply:' .. pool)
local size = math.min(#A.runners, missing)
if size <= 0 then forgetEmpty(pool) return 'covered' end
local names = {}
for i = 1, size do
  local name = A.runners[i].name
  names[i] = name
  redis.call('DEL', P .. 'runner:' .. name)
  redis.call('HSET', P .. 'runner:' .. name, 'step', 'launching', 't.launching', A.at, 'launchId', A.launchId,
    'placeHolder', A.runners[i].placeHolder, unpack(A.runnerFields))
  touch('runner', name)
  redis.call('ZADD', P .. 'supply:' .. pool, A.at, name)
  redis.call('ZADD', P .. 'live', A.at, name)
end
redis.call('SADD', P .. 'pools', pool)
redis.call('DEL', launch)
redis.call('HSET', launch, 'state', 'open', 'size', size, 'runnerNames', cjson.encode(names), unpack(A.fields))
touch('launch', A.launchId)
for _, key in ipairs(A.demandKeys) do
  local job = P .. 'job:' .. key
  if redis.call('EXISTS', job) == 1 then
    local before = redis.call('HGET', job, 'launchIds')
    if not before then
      redis.call('HSET', job, 'launchIds', A.launchId)
    elseif not string.find(before, A.launchId, 1, true) then
      redis.call('HSET', job, 'launchIds', before .. ' ' .. A.launchId)
    end
  end
end
return 'opened'`,
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
if redis.call('EXISTS', launch) == 0 then return end
local names, taken = unused(launch), 0
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
  end
end
for i = taken + 1, #names do
  if advanceRunner(names[i], 'gone', A.at) then note(names[i], A.at, 'not-started', 'the provider started fewer') end
end
redis.call('HSET', launch, 'state', 'launched')
touch('launch', A.launchId)`,
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

/** Launches, written down before the provider is called, and the supply that they are. */
export function createLaunches(store: Store): Launches {
  const getLaunch = (launchId: string) => readLaunch(store, launchId);
  return {
    getLaunch,
    async openLaunch(order) {
      const scope = flatten("s", order.scope);
      const pool = poolOf(order.runnerClass, order.scope);
      const outcome = await store.run<"exists" | "covered" | "opened">(open, {
        launchId: order.launchId,
        pool,
        at: order.at,
        demandKeys: order.demandKeys,
        runners: order.runnerNames.map((name, index) => ({ name, placeHolder: order.placeHolders[index] })),
        runnerFields: ["provider", order.provider, "class", order.runnerClass, "pool", pool, ...scope],
        fields: [
          ...["provider", order.provider, "class", order.runnerClass, ...scope],
          ...["offeringIndex", String(order.offeringIndex), "generation", String(order.generation)],
          ...["renewal", String(order.renewal), "demandKeys", JSON.stringify(order.demandKeys)],
          ...["openedAt", String(order.at), "ticketExpiresAt", String(order.ticketExpiresAt)],
        ],
      });
      if (outcome === "covered") return { opened: false, reason: "covered" };
      const launch = await getLaunch(order.launchId);
      if (!launch) throw new Error(`launch ${order.launchId} vanished from the ledger`);
      return { opened: true, isNew: outcome === "opened", launch };
    },
    async recordPlacement(launchId, text) {
      await store.run(placement, { launchId, placement: text });
    },
    async recordLaunched(launchId, instances, at) {
      await store.run(launched, {
        launchId,
        at,
        instances: instances.map(({ instanceId, launchId: _launchId, ...rest }) => ({
          instanceId,
          fields: flatten("i", rest),
        })),
      });
    },
    async recordLaunchFailed(launchId, note) {
      await store.run(failed, { launchId, at: note.at, note: encodeNote(note) });
    },
  };
}

/** With the instances of all its runners, or of those named. */
export async function readLaunch(
  store: Store,
  launchId: string,
  only?: readonly string[],
): Promise<LaunchRecord | null> {
  const [stored] = await store.read("launch", [launchId]);
  if (stored?.hash.state === undefined) return null;
  const names = only ?? (JSON.parse(stored.hash.runnerNames ?? "[]") as string[]);
  return decodeLaunch(launchId, stored.hash, await store.read("runner", names));
}
