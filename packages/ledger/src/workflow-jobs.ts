import {
  type Demand,
  demandKey,
  gather,
  type ProviderName,
  type QueueEntry,
  type QueueScript,
  type Settled,
  scopeKey,
} from "@grp/core";
import { CLAIM_NOTES } from "./claim-notes.ts";
import { decodeRunner, decodeWorkflowJob, demandFields, encodeNote, poolOf } from "./codec.ts";
import { PRELUDE } from "./prelude.ts";
import { fromReply, type Script, type Store, type StoredReply } from "./store.ts";
import type {
  DemandState,
  Ledger,
  RecordedDemand,
  WorkflowJobChange,
  WorkflowJobState,
  WorkflowJobUpdate,
} from "./types.ts";

/**
 * Writes a workflow job that is not known yet; `queued` and `waiting` are where its way begins. `createMissing` does so for the
 * one that the arguments tell of; whoever creates many lists them together, each with when it came and its key.
 */
export const CREATE = `
local function createJob(key, pool, fields)
  redis.call('HSET', P .. 'job:' .. key, 'state', 'queued', 'demand', 'waiting', 'pool', pool, unpack(fields))
  -- First of all: what a later command may fail over must not stay for ever.
  touch('job', key)
end

local function listJobs(at, key, ...)
  redis.call('ZADD', P .. 'jobs', 'NX', at, key, ...)
  redis.call('ZREMRANGEBYSCORE', P .. 'jobs', '-inf', '(' .. at - A.keepMs)
end

-- True when it was not known, and is now.
local function createMissing()
  if redis.call('EXISTS', P .. 'job:' .. A.key) == 1 or not A.fields then return false end
  createJob(A.key, A.pool, A.fields)
  listJobs(A.at, A.key)
  return true
end
`;

/** Taking a job into its queue, as BullMQ does it, in the same go; or nothing of that. */
const enqueueing = (script: QueueScript | undefined) =>
  script === undefined
    ? "local function enqueue() return false end"
    : `
local function add(KEYS, ARGV)
${script.lua}
end
local function enqueue(D, at)
  local args = {}
  for index = 1, A.width do args[index] = ARGV[1 + (at - 1) * A.width + index] end
  local answer = add(A.keys[D.queue], args)
  if type(answer) == 'number' and answer < 0 then error({ err = 'the queue refused it: ' .. answer }) end
  return true
end`;

/** Many demands a call; each is recorded or refused by itself, and the answers stand in their order. */
const queued = (script: QueueScript | undefined): Script => ({
  name: `grpRecordQueued:${script?.name ?? ""}`,
  lua: `${PRELUDE}${CREATE}${enqueueing(script)}
-- What many of a call go into is written once for all of them, at the end.
local created, demanded = {}, {}
local function append(list, ...)
  for _, value in ipairs({ ... }) do list[#list + 1] = value end
end
local function joinLater(pool, D)
  demanded[pool] = demanded[pool] or {}
  append(demanded[pool], D.receivedAt, D.key)
end
local function writeSets()
  if #created > 0 then listJobs(unpack(created)) end
  for pool, scored in pairs(demanded) do joinDemand(pool, unpack(scored)) end
end

local function recordNew(D, at)
  local fields = D.fields
  append(fields, 't.queued', D.queuedAt, 't.received', D.receivedAt)
  if enqueue(D, at) then append(fields, 't.enqueued', A.at) end
  createJob(D.key, D.pool, fields)
  append(created, D.receivedAt, D.key)
  if D.isReal then joinLater(D.pool, D) end
  return { 1, 0, 'queued', 'waiting' }
end

local function recordAgain(D, at, job)
  -- The first queued delivery says best what was asked, also when another event came before it.
  if redis.call('HSETNX', job, 't.queued', D.queuedAt) == 1 then
    redis.call('HSET', job, 't.received', D.receivedAt, unpack(D.fields))
    touch('job', D.key)
  end
  local state, demand, enqueued, pool, generation =
    unpack(redis.call('HMGET', job, 'state', 'demand', 't.enqueued', 'pool', 'd.generation'))
  if D.generation > tonumber(generation or 0) then
    redis.call('HSET', job, 'd.generation', D.generation, 'd.offeringIndex', D.offeringIndex)
    touch('job', D.key)
  end
  local isWanted = state == 'queued' and demand == 'waiting'
  if isWanted and D.isReal then joinLater(pool, D) end
  if isWanted and not enqueued and enqueue(D, at) then redis.call('HSET', job, 't.enqueued', A.at) end
  return { 0, enqueued and 1 or 0, state, demand }
end

local function recordQueued(D, at)
  local job = P .. 'job:' .. D.key
  return redis.call('EXISTS', job) == 0 and recordNew(D, at) or recordAgain(D, at, job)
end

local replies = {}
for at, demand in ipairs(A.demands) do
  local isFine, reply = pcall(recordQueued, demand, at)
  if not isFine then
    -- Redis 6 gives the error as a text, Redis 7 as a table.
    local why = type(reply) == 'table' and reply.err or tostring(reply)
    -- A replica takes none of them, and only the error of a command tells the client to look for the master.
    if why:find('READONLY', 1, true) then return { err = why } end
    reply = { why }
  end
  replies[at] = reply
end
writeSets()
return replies`,
});

const update: Script = {
  name: "grpUpdateWorkflowJob",
  lua: `${PRELUDE}${CREATE}
local ORDER = { queued = 0, in_progress = 1, completed = 2 }
-- Which runner it runs on, in an index as long as it runs: its end may go unheard.
local function noteRunning(key, name)
  local state, before = unpack(redis.call('HMGET', P .. 'job:' .. key, 'state', 'servedBy'))
  if before then redis.call('ZREM', P .. 'running', key .. ' ' .. before) end
  if name then redis.call('HSET', P .. 'job:' .. key, 'servedBy', name) end
  if state ~= 'in_progress' or not (name or before) then return end
  redis.call('ZADD', P .. 'running', A.at, key .. ' ' .. (name or before))
  redis.call('ZREMRANGEBYSCORE', P .. 'running', '-inf', '(' .. A.at - A.keepMs)
  redis.call('PEXPIRE', P .. 'running', A.keepMs)
end
-- Whoever may register runners elsewhere can give one the name of ours.
local function isOurs(name)
  local pool = name and redis.call('HGET', P .. 'runner:' .. name, 'pool')
  if not pool or not A.scopes then return pool and true or false end
  local scope = string.match(pool, '|(.*)$')
  return scope == A.scopes.repository or string.sub(scope, 1, #A.scopes.organization) == A.scopes.organization
end
local key, job, name = A.key, P .. 'job:' .. A.key, A.runnerName
local isNew, withdrawn = createMissing(), false
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
  noteRunning(key, name)
  redis.call('HDEL', job, 'waitsFor')
  leaveDemand(pool, key)
  touch('job', key)
end
local runner = {}
if isOurs(name) then
  advanceRunner(name, A.step, A.at)
  redis.call('HSETNX', P .. 'runner:' .. name, 'workflowJobKey', key)
  redis.call('ZREM', P .. 'unheard:' .. redis.call('HGET', P .. 'runner:' .. name, 'pool'), name)
  if A.runnerId then redis.call('HSETNX', P .. 'runner:' .. name, 'runnerId', A.runnerId) end
  runner = read('runner', name)
end
return { isNew and 1 or 0, withdrawn and 1 or 0, state and read('job', key) or {}, runner }`,
};

const enqueued: Script = {
  name: "grpMarkEnqueued",
  lua: `${PRELUDE}
local job = P .. 'job:' .. A.key
if redis.call('EXISTS', job) == 1 then redis.call('HSETNX', job, 't.enqueued', A.at) end`,
};

const waitsFor: Script = {
  name: "grpSetWaitsFor",
  lua: `${PRELUDE}
local job = P .. 'job:' .. A.key
if redis.call('HGET', job, 'demand') ~= 'waiting' then return end
if A.waitsFor then redis.call('HSET', job, 'waitsFor', A.waitsFor) else redis.call('HDEL', job, 'waitsFor') end`,
};

/** Of one group: notes of it in a row are one, the latest, for they must not push out what the sweep counts by. */
const GROUPS = [
  "retry = 'retry'",
  "['no-host'] = 'walk'",
  "overflow = 'walk'",
  ...CLAIM_NOTES.map((kind) => `['${kind}'] = 'claim'`),
].join(", ");

export const note: Script = {
  name: "grpAddNote",
  lua: `${PRELUDE}
local GROUP = { ${GROUPS} }
local group = GROUP[A.kind]
local last = group and redis.call('LINDEX', P .. 'notes:' .. A.id, -1)
if last and GROUP[cjson.decode(last).kind] == group then
  redis.call('LSET', P .. 'notes:' .. A.id, -1, A.note)
else
  addNote(A.id, A.note)
end`,
};

type Events = Pick<
  Ledger,
  "recordQueued" | "markEnqueued" | "recordInProgress" | "recordCompleted" | "setWaitsFor" | "addNote"
>;

/**
 * Demands that go out together: few enough that Redis has time for others in between, and works on some while the next
 * are read.
 */
const INTAKE = { most: 16, calls: 6 };

/** What GitHub and the workers tell about workflow jobs, in any order. */
export function createWorkflowJobEvents(store: Store): Events {
  const intakes = new Map<QueueScript | undefined, (queuing: Queuing) => Promise<RecordedDemand>>();
  const intakeOf = (script: QueueScript | undefined) => {
    const known = intakes.get(script);
    if (known) return known;
    const record = queued(script);
    const intake = gather((batch: readonly Queuing[]) => recordAll(store, record, batch), INTAKE);
    intakes.set(script, intake);
    return intake;
  };
  return {
    recordQueued: (demand, entry) => intakeOf(entry?.script)({ demand, entry }),
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
      await store.run(note, { id: key, kind: text.kind, note: encodeNote(text) });
    },
  };
}

interface Queuing {
  readonly demand: Demand;
  readonly entry: QueueEntry | undefined;
}

type QueuedReply = [isNew: number, isEnqueued: number, state: WorkflowJobState, demandState: DemandState];

/** All with entries of the same script, or all without. */
async function recordAll(
  store: Store,
  script: Script,
  batch: readonly Queuing[],
): Promise<readonly Settled<RecordedDemand>[]> {
  const keys: Partial<Record<ProviderName, readonly string[]>> = {};
  const args: (string | Buffer)[] = [];
  const width = batch[0]?.entry?.args.length ?? 0;
  for (const { entry } of batch) {
    if (!entry) continue;
    if (entry.args.length !== width) throw new Error(`${script.name}: its entries differ in their arguments`);
    keys[entry.provider] = entry.keys;
    args.push(...entry.args);
  }
  const replies = await store.run<readonly (QueuedReply | [error: string])[]>(
    script,
    {
      at: String(store.now()),
      keys,
      width,
      demands: batch.map(({ demand, entry }) => ({
        ...creation(demand),
        key: demand.key,
        queue: entry?.provider,
        queuedAt: String(demand.queuedAt),
        receivedAt: String(demand.receivedAt),
        generation: demand.generation,
        offeringIndex: demand.offeringIndex,
        isReal: !demand.dryRun,
      })),
    },
    args,
  );
  return replies.map((reply) => {
    if (reply.length === 1) return { ok: false, error: new Error(`Redis refused: ${reply[0]}`) };
    const [isNew, isEnqueued, state, demandState] = reply;
    return { ok: true, value: { isNew: isNew === 1, isEnqueued: isEnqueued === 1, state, demandState } };
  });
}

/** Arguments by which a script can write a workflow job that the ledger has not seen. */
export function creation(demand: Demand): { pool: string; fields: string[] } {
  return { pool: poolOf(demand.runnerClass, demand.scope), fields: demandFields(demand) };
}

/** By their keys, of runners that can serve the repository: an organization's in whatever group. */
function scopesFor({ owner, repository }: NonNullable<WorkflowJobUpdate["in"]>) {
  const organization = scopeKey({ kind: "organization", owner, runnerGroup: "" });
  return { repository: scopeKey({ kind: "repository", owner, repository }), organization };
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
    ...(change.in ? { scopes: scopesFor(change.in) } : {}),
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
