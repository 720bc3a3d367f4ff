import {
  type Demand,
  demandJobId,
  demandKey,
  type Instance,
  launchId,
  type ProviderName,
  runnerName,
} from "@grp/core";
import { Redis } from "ioredis";
import { startRedis, type TestRedis } from "../../../test/support/redis.ts";
import { createLedger } from "./ledger.ts";
import type { Ledger, OpenLaunch } from "./types.ts";

/** Noon of some day: steps in tests are seconds after it. */
export const T0 = Date.UTC(2026, 10, 24, 12);

export interface TestLedger {
  readonly redis: Redis;
  readonly ledger: Ledger;
  readonly server: TestRedis;
  /** Another process' ledger: its own connection. */
  another(): Ledger;
  stop(): Promise<void>;
}

export async function startLedger(
  options: { retentionMs?: number; aof?: boolean } = {},
): Promise<TestLedger> {
  const { aof = false, ...ledgerOptions } = options;
  const server = await startRedis({ aof });
  const clients: Redis[] = [];
  const connect = () => {
    const redis = new Redis(server.url);
    // A test that kills Redis sees it in the calls that fail.
    redis.on("error", () => {});
    clients.push(redis);
    return redis;
  };
  const redis = connect();
  const create = (client: Redis) => createLedger({ redis: client, now: () => T0, ...ledgerOptions });
  return {
    redis,
    server,
    ledger: create(redis),
    another: () => create(connect()),
    async stop() {
      for (const client of clients) client.disconnect();
      await server.stop();
    },
  };
}

export function demand(workflowJobId: number, changes: Partial<Demand> = {}): Demand {
  return {
    version: 1,
    key: demandKey(workflowJobId),
    workflowJobId,
    runId: 30433642,
    runAttempt: 1,
    owner: "Acme",
    repository: "app",
    scope: { kind: "repository", owner: "Acme", repository: "app" },
    runnerClass: "ubuntu-arm64",
    labels: ["ubuntu-arm64"],
    generation: 1,
    offeringIndex: 0,
    queuedAt: T0,
    receivedAt: T0 + 1_000,
    deliveryId: "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    dryRun: false,
    ...changes,
  };
}

export function order(
  demands: readonly Demand[],
  changes: Partial<OpenLaunch> & { provider?: ProviderName } = {},
): OpenLaunch {
  const [first] = demands;
  if (!first) throw new Error("an order serves at least one demand");
  const identity = {
    placeHolders: demands.map((each) => demandJobId(each.key, each.generation)),
    runnerClass: first.runnerClass,
    offeringDigest: "0123456789abcdef",
    renewal: 0,
  };
  const id = changes.launchId ?? launchId(identity);
  return {
    ...identity,
    launchId: id,
    provider: "ec2",
    offeringIndex: 0,
    scope: first.scope,
    runnerNames: demands.map((_each, index) => runnerName("grp", id, index)),
    ticketExpiresAt: T0 + 3_600_000,
    at: T0 + 2_000,
    ...changes,
  };
}

export function instance(launch: string, instanceId: string, changes: Partial<Instance> = {}): Instance {
  return {
    instanceId,
    provider: "ec2",
    launchId: launch,
    state: "pending",
    launchedAt: T0 + 3_000,
    region: "us-east-1",
    accountId: "123456789012",
    isSpot: true,
    ...changes,
  };
}

/** Records the demand and opens a launch of one machine for it, launched as `instanceId`. */
export async function launchOne(
  ledger: Ledger,
  workflowJobId: number,
  instanceId: string,
): Promise<OpenLaunch> {
  const wanted = demand(workflowJobId);
  await ledger.recordQueued(wanted);
  const opened = order([wanted]);
  await ledger.openLaunch(opened);
  await ledger.recordLaunched(opened.launchId, [instance(opened.launchId, instanceId)], T0 + 4_000);
  return opened;
}

/** Every order of the items. */
export function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, index) =>
    permutations(items.filter((_other, at) => at !== index)).map((rest) => [item, ...rest]),
  );
}

/** Small and seeded (mulberry32), so that a failing run can be had again. */
export function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
