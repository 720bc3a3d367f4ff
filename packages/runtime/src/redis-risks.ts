import type { Redis } from "./redis.ts";

/** The oldest whose commands are all that we use. */
const LEAST_VERSION = [6, 2] as const;

type Info = Readonly<Record<string, string | undefined>>;

/**
 * What of Redis' own settings may lose accepted work, each in words that stay the same. None where `INFO` is not to be
 * had or says nothing of it: some who host Redis forbid it.
 */
export async function findRisks(redis: Redis): Promise<readonly string[]> {
  const info = parseInfo(await redis.info().catch(() => ""));
  const risks = [riskOfEviction(info), riskOfRestart(info), riskOfVersion(info)];
  return risks.filter((risk) => risk !== undefined);
}

function parseInfo(text: string): Info {
  const fields = text.split(/\r?\n/).map((line) => /^(\w+):(.*)$/.exec(line));
  return Object.fromEntries(fields.flatMap((field) => (field ? [[field[1], field[2]]] : [])));
}

function riskOfEviction({ maxmemory_policy: policy, maxmemory }: Info): string | undefined {
  // Without a limit nothing is evicted.
  if (policy === undefined || policy === "noeviction" || maxmemory === "0") return undefined;
  return `Redis throws accepted jobs away when its memory is full (maxmemory-policy ${policy}): set maxmemory-policy noeviction`;
}

function riskOfRestart({ aof_enabled: isAofOn }: Info): string | undefined {
  if (isAofOn !== "0") return undefined;
  return "Redis loses accepted jobs when it restarts, for its append-only file is off: set appendonly yes";
}

/** Valkey gives the version of the Redis that it is like. */
function riskOfVersion({ redis_version: version }: Info): string | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version ?? "") ?? [];
  if (major === undefined) return undefined;
  const [leastMajor, leastMinor] = LEAST_VERSION;
  const isOld = Number(major) < leastMajor || (Number(major) === leastMajor && Number(minor) < leastMinor);
  return isOld
    ? `Redis ${version} is older than ${LEAST_VERSION.join(".")}, the least that works`
    : undefined;
}
