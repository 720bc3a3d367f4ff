import { createCaps } from "./caps.ts";
import { createClaims } from "./claims.ts";
import { createDeadLetters } from "./dead-letters.ts";
import { createLaunches } from "./launches.ts";
import { createLocks } from "./locks.ts";
import { createMemory } from "./memory.ts";
import { createPlans } from "./plans.ts";
import { createQueries } from "./queries.ts";
import { createRateLimits } from "./rate-limits.ts";
import { createRunners } from "./runners.ts";
import { createStore, type RedisClient } from "./store.ts";
import { createSweeps } from "./sweeps.ts";
import { createTakeUp } from "./take-up.ts";
import type { Ledger } from "./types.ts";
import { createWarnings } from "./warnings.ts";
import { createWorkflowJobEvents } from "./workflow-jobs.ts";

/** Longer than GitHub redelivers (3 days; 7 on a server of one's own), so that no redelivery finds its job forgotten. */
const RETENTION_MS = 7 * 24 * 3_600_000;

export interface LedgerOptions {
  /** The caller's connection: it sets the deadlines (`commandTimeout`) and closes it. */
  readonly redis: RedisClient;
  /** Must hold one hash tag, shared by all keys, for Redis Cluster. */
  readonly keyPrefix?: string;
  readonly retentionMs?: number;
  readonly now?: () => number;
}

/**
 * The ledger on Redis 6.2 or later (or Valkey). Many processes share one; it keeps nothing in memory.
 *
 * | key (after the prefix)                          | holds |
 * |---|---|
 * | `job:<key>` `launch:<id>` `runner:<name>`       | one record each, a hash; ends with the retention |
 * | `notes:<key or name>`                           | its last notes |
 * | `demand:<pool>`                                 | workflow jobs not yet started, by arrival |
 * | `supply:<pool>` `claimed:<pool>`                | runners launching … idle; of these, the claimed |
 * | `unheard:<pool>`                                | runners that ran a workflow job nobody named yet |
 * | `pools`                                         | pools that have either; a pool is `<class>\|<scope>` |
 * | `jobs` `dead` `live`                            | indexes: workflow jobs, dead letters, runners not gone |
 * | `running`                                       | `<key> <runner>` of workflow jobs that run, by their start |
 * | `caps` `arrivals` `cap:<name>:…` `place:<holder>` | limits, and who holds or waits: see caps.ts |
 * | `plan:<key>` `lock:<name>`                      | results of dry runs; locks |
 * | `ignored:<id>` `ignored`                        | why a workflow job is not ours; their index, by time |
 * | `mark:<name>` `warnings`                        | how far somebody has read; what people should see |
 * | `last-sweep`                                    | when a sweep last came to its end |
 */
export function createLedger(options: LedgerOptions): Ledger {
  const store = createStore(options.redis, {
    prefix: options.keyPrefix ?? "{grp}:",
    retentionMs: options.retentionMs ?? RETENTION_MS,
    now: options.now ?? Date.now,
  });
  const events = createWorkflowJobEvents(store);
  return {
    ...events,
    ...createTakeUp(store, events),
    ...createQueries(store),
    ...createDeadLetters(store),
    ...createLaunches(store),
    ...createRunners(store),
    ...createSweeps(store),
    ...createClaims(store),
    ...createCaps(store),
    ...createRateLimits(store),
    ...createPlans(store),
    ...createLocks(store),
    ...createMemory(store),
    ...createWarnings(store),
  };
}
