import { shorten } from "./codec.ts";
import { PRELUDE } from "./prelude.ts";
import type { Script, Store } from "./store.ts";
import type { IgnoredWorkflowJob, Ledger } from "./types.ts";

type Memory = Pick<Ledger, "getMark" | "setMark" | "recordIgnored" | "getIgnored">;

/** Labels kept of an ignored workflow job; more tell nothing more. */
const MOST_LABELS = 20;

/** An organization's hook tells of every job, most of them not ours: these take 4 MB, however busy it is. */
const MOST_IGNORED = 10_000;

const ignore: Script = {
  name: "grpRecordIgnored",
  lua: `${PRELUDE}
redis.call('SET', P .. 'ignored:' .. A.id, A.text, 'PX', A.keepMs)
redis.call('ZADD', P .. 'ignored', A.at, A.id)
redis.call('ZREMRANGEBYSCORE', P .. 'ignored', '-inf', '(' .. A.at - A.keepMs)
local tooMany = redis.call('ZRANGE', P .. 'ignored', 0, -1 - A.most)
for _, id in ipairs(tooMany) do
  redis.call('DEL', P .. 'ignored:' .. id)
  redis.call('ZREM', P .. 'ignored', id)
end`,
};

/** Small things that all processes share: how far somebody has read, which workflow jobs are not ours. */
export function createMemory(store: Store, mostIgnored = MOST_IGNORED): Memory {
  const { redis, key } = store;
  return {
    getMark: (name) => redis.get(key(`mark:${name}`)),
    async setMark(name, value, ttlMs) {
      await redis.set(key(`mark:${name}`), value, "PX", ttlMs);
    },
    async recordIgnored({ workflowJobId, ...ignored }) {
      const labels = ignored.labels.slice(0, MOST_LABELS).map(shorten);
      const text = JSON.stringify({ ...ignored, labels });
      await store.run(ignore, { id: String(workflowJobId), text, at: ignored.at, most: mostIgnored });
    },
    async getIgnored(workflowJobId) {
      const text = await redis.get(key(`ignored:${workflowJobId}`));
      return text === null
        ? null
        : { workflowJobId, ...(JSON.parse(text) as Omit<IgnoredWorkflowJob, "workflowJobId">) };
    },
  };
}
