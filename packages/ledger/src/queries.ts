import { decodeWorkflowJob, poolOf } from "./codec.ts";
import { UNHEARD_MS } from "./prelude.ts";
import { runPipeline, type Store } from "./store.ts";
import type { ClassCount, Ledger, WorkflowJobRecord } from "./types.ts";

type Queries = Pick<
  Ledger,
  | "getWorkflowJob"
  | "listWorkflowJobs"
  | "listOpenDemands"
  | "listRunning"
  | "countByClass"
  | "listLongestWaits"
>;

/** What people and the sweep ask about workflow jobs. Reads only; a few round trips however many there are. */
export function createQueries(store: Store): Queries {
  const { redis, key } = store;
  return {
    getWorkflowJob: async (id) => (await readWorkflowJobs(store, [id]))[0] ?? null,
    async listWorkflowJobs(limit) {
      return readNewest(store, "jobs", { limit });
    },
    async listOpenDemands(most = 0, of) {
      const pools = of ? [poolOf(of.runnerClass, of.scope)] : await redis.smembers(key("pools"));
      const pipeline = redis.pipeline();
      for (const pool of pools) pipeline.zrange(key(`demand:${pool}`), 0, String(most - 1));
      const keys = (await runPipeline(pipeline)) as string[][];
      const records = await readWorkflowJobs(store, keys.flat());
      // Some may have started between the two reads.
      return records.filter((record) => record.demandState === "waiting");
    },
    async listRunning() {
      const members = await redis.zrange(key("running"), 0, "-1");
      return members.map((member) => {
        const blank = member.indexOf(" ");
        return { key: member.slice(0, blank), servedBy: member.slice(blank + 1) };
      });
    },
    async countByClass() {
      const pools = (await redis.smembers(key("pools"))).sort();
      const pipeline = redis.pipeline();
      const since = `(${store.now() - UNHEARD_MS}`;
      for (const pool of pools)
        pipeline
          .zcard(key(`demand:${pool}`))
          .zcount(key(`unheard:${pool}`), since, "+inf")
          .zcard(key(`supply:${pool}`));
      const counts = (await runPipeline(pipeline)) as number[];
      return pools.map(
        (pool, index): ClassCount => ({
          ...splitPool(pool),
          demand: Math.max(0, (counts[3 * index] ?? 0) - (counts[3 * index + 1] ?? 0)),
          supply: counts[3 * index + 2] ?? 0,
        }),
      );
    },
    async listLongestWaits(at) {
      const pools = (await redis.smembers(key("pools"))).sort();
      const pipeline = redis.pipeline();
      for (const pool of pools) pipeline.zrange(key(`demand:${pool}`), "0", "0", "WITHSCORES");
      const first = (await runPipeline(pipeline)) as string[][];
      return pools.flatMap((pool, index) => {
        const receivedAt = first[index]?.[1];
        return receivedAt === undefined
          ? []
          : [{ ...splitPool(pool), ageMs: Math.max(0, at - Number(receivedAt)) }];
      });
    },
  };
}

function splitPool(pool: string): { runnerClass: string; scope: string } {
  const bar = pool.indexOf("|");
  return { runnerClass: pool.slice(0, bar), scope: pool.slice(bar + 1) };
}

/** In the order asked; those that expired or can't be read are left out. */
async function readWorkflowJobs(
  store: Store,
  keys: readonly string[],
): Promise<readonly WorkflowJobRecord[]> {
  return (await store.read("job", keys, decodeWorkflowJob)).filter((record) => record !== null);
}

/** The last `limit` of an index, newest first, behind the newest `skip`. */
export async function readNewest(
  store: Store,
  index: "jobs" | "dead",
  { limit, skip = 0 }: { readonly limit: number; readonly skip?: number },
) {
  if (limit <= 0) return [];
  return readWorkflowJobs(store, await store.redis.zrevrange(store.key(index), skip, skip + limit - 1));
}
