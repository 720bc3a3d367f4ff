import { decodeWorkflowJob, flatten, shorten } from "./codec.ts";
import { PRELUDE } from "./prelude.ts";
import { readNewest } from "./queries.ts";
import { fromReply, type Script, type Store, type StoredReply } from "./store.ts";
import type { Ledger } from "./types.ts";
import { CREATE, creation } from "./workflow-jobs.ts";

const fail: Script = {
  name: "grpRecordFailure",
  lua: `${PRELUDE}${CREATE}
local job = P .. 'job:' .. A.key
createMissing()
local demand, pool = unpack(redis.call('HMGET', job, 'demand', 'pool'))
if demand ~= 'waiting' then return 0 end
redis.call('HSET', job, 'demand', 'failed', 't.failed', A.at, unpack(A.failure))
redis.call('HDEL', job, 'waitsFor')
leaveDemand(pool, A.key)
redis.call('ZADD', P .. 'dead', A.at, A.key)
redis.call('ZREMRANGEBYSCORE', P .. 'dead', '-inf', '(' .. A.at - A.keepMs)
touch('job', A.key)
return 1`,
};

const revive: Script = {
  name: "grpReviveDead",
  lua: `${PRELUDE}
local job = P .. 'job:' .. A.key
if redis.call('ZREM', P .. 'dead', A.key) == 0 then return { 'not-dead' } end
local state, demand, pool, message, dryRun, generation =
  unpack(redis.call('HMGET', job, 'state', 'demand', 'pool', 'f.message', 'd.dryRun', 'd.generation'))
if demand ~= 'failed' then return { 'not-dead' } end
-- GitHub has ended it meanwhile: nobody waits any more.
if state ~= 'queued' then
  redis.call('HSET', job, 'demand', 'dismissed')
  return { 'ended' }
end
redis.call('HSET', job, 'demand', 'waiting', 'revivedGeneration', generation or 1)
redis.call('HDEL', job, 't.failed', 'f.at', 'f.errorClass', 'f.code', 'f.message')
note(A.key, A.at, 'revived', 'after: ' .. (message and cjson.decode(message) or ''))
if dryRun ~= 'true' then joinDemand(pool, A.at, A.key) end
touch('job', A.key)
return { 'revived', read('job', A.key) }`,
};

const dismiss: Script = {
  name: "grpDismissDead",
  lua: `${PRELUDE}
if redis.call('ZREM', P .. 'dead', A.key) == 0 then return 0 end
if redis.call('EXISTS', P .. 'job:' .. A.key) == 1 then
  redis.call('HSET', P .. 'job:' .. A.key, 'demand', 'dismissed')
  note(A.key, A.at, 'dismissed', '')
end
return 1`,
};

type ReviveReply = ["revived", StoredReply] | ["ended" | "not-dead"];

type DeadLetters = Pick<Ledger, "recordFailure" | "reviveDead" | "dismissDead" | "listDead" | "countDead">;

/** Demands that failed for good and wait for a person. */
export function createDeadLetters(store: Store): DeadLetters {
  return {
    async recordFailure(key, { demand, message, ...failure }) {
      const reply = await store.run<number>(fail, {
        ...(demand ? creation(demand) : {}),
        key,
        at: failure.at,
        failure: flatten("f", { ...failure, message: shorten(message) }),
      });
      return reply === 1;
    },
    async reviveDead(key) {
      const reply = await store.run<ReviveReply>(revive, { key, at: store.now() });
      if (reply[0] !== "revived") return reply[0];
      return decodeWorkflowJob(key, fromReply(reply[1]))?.demand ?? "not-dead";
    },
    dismissDead: async (key, at) => (await store.run<number>(dismiss, { key, at })) === 1,
    async listDead(limit, skip = 0) {
      return readNewest(store, "dead", { limit, skip });
    },
    countDead: () => store.redis.zcount(store.key("dead"), store.now() - store.retentionMs, "+inf"),
  };
}
