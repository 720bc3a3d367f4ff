import { type Demand, demandKey } from "@grp/core";
import { decodeRunner, decodeWorkflowJob, demandFields, encodeNote, poolOf } from "./codec.ts";
import { PRELUDE } from "./prelude.ts";
import { fromReply, type Script, type Store, type StoredReply } from "./store.ts";
import type { DemandState, Ledger, WorkflowJobChange, WorkflowJobState, WorkflowJobUpdate } from "./types.ts";

/** Writes a workflow job that is not known yet; `queued` and `waiting` are where its way begins. */
export const CREATE = `
local function createJob(key, pool, fields, at)
  redis.call('HSET', P .. 'job:' .. key, 'state', 'queued', 'demand', 'waiting', 'pool', pool, unpack(fields))
  redis.call('ZADD', P .. 'jobs', 'NX', at, key)
  redis.call('ZREMRANGEBYSCORE', P .. 'jobs', '-inf', '(' .. at - A.keepMs)
  touch('job', key)
end
`;

const queued: Script = {
  name: "grpRecordQueued",
  lua: `${PRELUDE}${CREATE}
local key, job = A.key, P .. 'job:' .. A.key
local isNew = redis.call('EXISTS', job) == 0
if isNew then createJob(key, A.pool, A.fields, A.receivedAt) end
-- The first queued delivery says best what was asked, also when another event came before it.
if redis.call('HSETNX', job, 't.queued', A.queuedAt) == 1 then
  redis.call('HSET', job, 't.received', A.receivedAt, unpack(A.fields))
  touch('job', key)
end
if A.generation > tonumber(redis.call('HGET', job, 'd.generation') or 0) then
  redis.call('HSET', job, 'd.generation', A.generation, 'd.offeringIndex', A.offeringIndex)
  touch('job', key)
end
local state, demand, enqueued, pool = unpack(redis.call('HMGET', job, 'state', 'demand', 't.enqueued', 'pool'))
if A.isReal and state == 'queued' and demand == 'waiting' then joinDemand(pool, key, A.receivedAt) end
return { isNew and 1 or 0, enqueued and 1 or 0, state, demand }`,
};

const update: Script = {
  name: "grpUpdateWorkflowJob",
  lua: `${PRELUDE}${CREATE}
local ORDER = { queued = 0, in_progress = 1, completed = 2 }
local key, job, name = A.key, P .. 'job:' .. A.key, A.runnerName
local isNew, withdrawn = false, false
if redis.call('EXISTS', job) == 0 and A.fields then
  createJob(key, A.pool, A.fields, A.at)
  isNew = true
end
local state, demand, pool = unpack(redis.call('HMGET', job, 'state', 'demand', 'pool'))
if state then
  redis.call('HSETNX', job, A.timeField, A.at)
  if ORDER[A.state] > ORDER[state] then redis.call('HSET', job, 'state', A.state) end
  if A.conclusion then redis.call('HSET', job, 'conclusion', A.conclusion) end
  -- It ran if it was in progress, or if a runner is named: a job cancelled in its queue has none.
  if (A.state == 'in_progress' or name) and demand ~= 'served' then
    redis.call('HSET', job, 'demand', 'served')
    redis.call('ZREM', P .. 'dead', key)
  elseif A.state == 'completed' and demand == 'waiting' then
    redis.call('HSET', job, 'demand', 'cancelled')
    withdrawn = not isNew
  end
  if name then redis.call('HSET', job, 'servedBy', name) end
  redis.call('HDEL', job, 'waitsFor')
  leaveDemand(pool, key)
  touch('job', key)
end
local runner = {}
if name and redis.call('EXISTS', P .. 'runner:' .. name) == 1 then
  advanceRunner(name, A.step, A.at)
  redis.call('HSETNX', P .. 'runner:' .. name, 'workflowJobKey', key)
  if A.runnerId then redis.call('HSETNX', P .. 'runner:' .. name, 'runnerId', A.runnerId) end
  runner = read('runner', name)
end
return { isNew and 1 or 0, withdrawn and 1 or 0, state and read('job', key) or {}, runner }`,
};

const enqueued: Script = {
  name: "grpMarkEnqueued",
  lua: `${PRELUDE}
if redis.call('EXISTS', P .. 'job:' .. A.key) == 0 then return end
redis.call('HSETNX', P .. 'job:' .. A.key, 't.enqueued', A.at)`,
};

const waitsFor: Script = {
  name: "grpSetWaitsFor",
  lua: `${PRELUDE}
local job = P .. 'job:' .. A.key
if redis.call('HGET', job, 'demand') ~= 'waiting' then return end
if A.waitsFor then redis.call('HSET', job, 'waitsFor', A.waitsFor) else redis.call('HDEL', job, 'waitsFor') end`,
};

export const note: Script = { name: "grpAddNote", lua: `${PRELUDE}addNote(A.id, A.note)` };

type Events = Pick<
  Ledger,
  "recordQueued" | "markEnqueued" | "recordInProgress" | "recordCompleted" | "setWaitsFor" | "addNote"
>;

/** What GitHub and the workers tell about workflow jobs, in any order. */
export function createWorkflowJobEvents(store: Store): Events {
  return {
    async recordQueued(demand) {
      const reply = await store.run<[number, number, WorkflowJobState, DemandState]>(queued, {
        ...creation(demand),
        key: demand.key,
        queuedAt: demand.queuedAt,
        receivedAt: demand.receivedAt,
        generation: demand.generation,
        offeringIndex: demand.offeringIndex,
        isReal: !demand.dryRun,
      });
      return { isNew: reply[0] === 1, isEnqueued: reply[1] === 1, state: reply[2], demandState: reply[3] };
    },
    async markEnqueued(key, at) {
      await store.run(enqueued, { key, at });
    },
    recordInProgress: (change) =>
      recordUpdate(store, change, { state: "in_progress", timeField: "t.inProgress", step: "busy" }),
    recordCompleted: (change) =>
      recordUpdate(store, change, { state: "completed", timeField: "t.completed", step: "finished" }),
    async setWaitsFor(key, text) {
      await store.run(waitsFor, { key, waitsFor: text ?? undefined });
    },
    async addNote(key, text) {
      await store.run(note, { id: key, note: encodeNote(text) });
    },
  };
}

/** Arguments by which a script can write a workflow job that the ledger has not seen. */
export function creation(demand: Demand): { pool: string; fields: string[] } {
  return { pool: poolOf(demand.runnerClass, demand.scope), fields: demandFields(demand) };
}

async function recordUpdate(
  store: Store,
  { demand, ...change }: WorkflowJobUpdate,
  event: { state: WorkflowJobState; timeField: string; step: string },
): Promise<WorkflowJobChange> {
  const key = demandKey(change.workflowJobId);
  const [isNew, withdrawn, job, runner] = await store.run<
    [number, number, StoredReply | [], StoredReply | []]
  >(update, {
    ...(demand ? creation(demand) : {}),
    ...event,
    key,
    at: change.at,
    // GitHub says "" and 0 where there is none.
    runnerName: change.runnerName || undefined,
    runnerId: change.runnerId || undefined,
    conclusion: change.conclusion,
  });
  const record = job.length > 0 ? decodeWorkflowJob(key, fromReply(job as StoredReply)) : null;
  const ours =
    runner.length > 0 ? decodeRunner(change.runnerName ?? "", fromReply(runner as StoredReply)) : null;
  return {
    isNew: isNew === 1,
    withdrawn: withdrawn === 1,
    ...(record ? { record } : {}),
    ...(ours ? { runner: ours } : {}),
  };
}
