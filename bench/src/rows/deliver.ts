import { type LoadOptions, runLoad, type WatchedLoad } from "../load/load.ts";
import { makePayload } from "../load/payload.ts";
import type { Measure } from "../row.ts";
import { SECRET, type ServerName, type Stand } from "../stand/stand.ts";

/** Keep-alive, to each server. */
const CONNECTIONS = 64;
/** A server that was just started compiles its hot paths first: of the ingress' CPU time in its first 8 s a fifth is V8's compiler. */
const FIRST_WARM_SECONDS = 10;
const WARM_SECONDS = 1;
const SECONDS = 4;
/** More than any server here takes; the generator fails when it runs out. */
const MOST_PER_SECOND = 14_000;

/** Deliveries whose answer leaves nothing behind may be sent again: signing millions of them would only take time. */
export const REPEATED: Partial<LoadOptions> = { count: 20_000, isRepeating: true };

export interface DeliverOptions {
  readonly servers: readonly [ServerName, ...ServerName[]];
  /** They run meanwhile, and nothing is sent to them. */
  readonly beside?: readonly ServerName[];
  readonly expect: number;
  readonly load?: Partial<LoadOptions>;
}

/** Sends distinct deliveries for some seconds, unless told otherwise, to servers on an empty Redis. */
export async function deliver(stand: Stand, options: DeliverOptions): Promise<WatchedLoad> {
  await stand.emptyRedis();
  return deliverMore(stand, { ...options, load: { seconds: SECONDS, ...options.load } });
}

/** Sends them to servers on what is in Redis already; without `load.seconds`, `load.count` of them. */
export async function deliverMore(
  stand: Stand,
  { servers: names, beside = [], expect, load = {} }: DeliverOptions,
): Promise<WatchedLoad> {
  const servers = await Promise.all(names.map((name) => stand.server(name)));
  stand.focus([...names, ...beside]);
  const isFresh = servers.some((server) => server.isFresh);
  // They may have to share a core.
  const firstWarm = FIRST_WARM_SECONDS * servers.length;
  const warmSeconds = load.warmSeconds ?? (isFresh ? firstWarm : WARM_SECONDS);
  for (const server of servers) server.isFresh = false;
  const perSecond = load.ratePerSecond ?? MOST_PER_SECOND;
  const count = load.count ?? Math.ceil((warmSeconds + (load.seconds ?? 0) + 1) * perSecond);
  return runLoad(
    {
      ...{ path: "/webhook", event: "workflow_job", payload: makePayload(), secret: SECRET },
      ...{ count, first: load.first ?? stand.reserve(count), isRepeating: false, isForged: false },
      ...{ ports: servers.map(({ port }) => port), connections: CONNECTIONS * servers.length, warmSeconds },
      ...load,
    },
    { pids: [stand.redis.pid, ...servers.map(({ pid }) => pid)], expect },
  );
}

/** Deliveries a second, and where the CPU time went: a server that was not busy all the time was held up by something else. */
export function asThroughput(load: WatchedLoad): Measure {
  const [redisMs = 0, ...serverMs] = load.cpuMs;
  const usPerDelivery = (ms: number) => (ms * 1_000) / load.answers;
  return {
    value: load.answers / load.seconds,
    figures: {
      p50Ms: load.p50Ms,
      p99Ms: load.p99Ms,
      serverBusy: sum(serverMs) / (load.seconds * 1_000),
      serverUs: usPerDelivery(sum(serverMs)),
      redisUs: usPerDelivery(redisMs),
      generatorUs: usPerDelivery(load.generatorCpuMs),
    },
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
