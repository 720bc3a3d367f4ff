import { shorten } from "./codec.ts";
import type { Store } from "./store.ts";
import type { IgnoredWorkflowJob, Ledger } from "./types.ts";

type Memory = Pick<Ledger, "getMark" | "setMark" | "recordIgnored" | "getIgnored">;

/** Labels kept of an ignored workflow job; more tell nothing more. */
const MOST_LABELS = 20;

/** Small things that all processes share: how far somebody has read, which workflow jobs are not ours. */
export function createMemory(store: Store): Memory {
  const { redis, key } = store;
  return {
    getMark: (name) => redis.get(key(`mark:${name}`)),
    async setMark(name, value, ttlMs) {
      await redis.set(key(`mark:${name}`), value, "PX", ttlMs);
    },
    async recordIgnored({ workflowJobId, ...ignored }) {
      const labels = ignored.labels.slice(0, MOST_LABELS).map(shorten);
      const text = JSON.stringify({ ...ignored, labels });
      await redis.set(key(`ignored:${workflowJobId}`), text, "PX", store.retentionMs);
    },
    async getIgnored(workflowJobId) {
      const text = await redis.get(key(`ignored:${workflowJobId}`));
      return text === null
        ? null
        : { workflowJobId, ...(JSON.parse(text) as Omit<IgnoredWorkflowJob, "workflowJobId">) };
    },
  };
}
