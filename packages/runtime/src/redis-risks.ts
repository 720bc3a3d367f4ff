import type { Redis } from "./redis.ts";
import { askInfo, type RedisInfo } from "./redis-info.ts";

/** The oldest whose commands are all that we use. */
const LEAST_VERSION = [6, 2] as const;

/**
 * What of Redis' own settings may lose accepted work, each in words that stay the same. None where `INFO` is not to be
 * had or says nothing of it: some who host Redis forbid it.
 */
export async function findRisks(redis: Redis): Promise<readonly string[]> {
  const info = await askInfo(redis).catch(() => ({}));
  const risks = [riskOfEviction(info), riskOfRestart(info), riskOfVersion(info), riskOfCluster(info)];
  return risks.filter((risk) => risk !== undefined);
}

function riskOfEviction({ maxmemory_policy: policy, maxmemory }: RedisInfo): string | undefined {
  // Without a limit nothing is evicted.
  if (policy === undefined || policy === "noeviction" || maxmemory === "0") return undefined;
  return `Redis throws accepted jobs away when its memory is full (maxmemory-policy ${policy}): set maxmemory-policy noeviction`;
}

function riskOfRestart({ aof_enabled: isAofOn, connected_slaves: replicas }: RedisInfo): string | undefined {
  // Some who host Redis offer no such file, and let a replica take over.
  if (isAofOn !== "0" || Number(replicas) > 0) return undefined;
  return "Redis may lose accepted jobs when it restarts, for its append-only file is off and it has no replica: set appendonly yes, or where its host offers no such file, add a replica that takes over";
}

/** Valkey gives the version of the Redis that it is like. */
function riskOfVersion({ redis_version: version }: RedisInfo): string | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version ?? "") ?? [];
  if (major === undefined) return undefined;
  const [leastMajor, leastMinor] = LEAST_VERSION;
  const isOld = Number(major) < leastMajor || (Number(major) === leastMajor && Number(minor) < leastMinor);
  return isOld
    ? `Redis ${version} is older than ${LEAST_VERSION.join(".")}, the least that works`
    : undefined;
}

function riskOfCluster({ redis_mode: mode }: RedisInfo): string | undefined {
  if (mode !== "cluster") return undefined;
  return "Redis is a Cluster, of which one endpoint is used: what it keeps elsewhere fails; use one without cluster mode";
}
