import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { type Stack, startStack } from "../../../packages/sandbox/src/stack/index.ts";
import { openConnection } from "../load/connection.ts";
import { makePayload } from "../load/payload.ts";
import { createRequests } from "../load/requests.ts";
import type { Measure, Row } from "../row.ts";
import { CATALOG, type Stand } from "../stand/stand.ts";

/** What a busy organization queues all day; far from any limit, so that only the way itself takes time. */
const PER_SECOND = 20;
/** The first find cold processes. */
const WARM = 60;
const COUNTED_FOR_P50 = 200;
/** Half a minute: six of them lie above the p99, so that no single one decides. */
const COUNTED_FOR_P99 = 600;
/** In turn, so that each has seconds for an answer. */
const CONNECTIONS = 64;
/** For the last of them. */
const PATIENCE_MS = 10_000;

/**
 * Ms from the moment each delivery is sent to the arrival of the provider call that starts its machine: ingress, Redis
 * and worker as real processes, EC2's stand-in without limits. The machines never boot.
 */
async function measureWays(stand: Stand, counted: number): Promise<readonly number[]> {
  const stack = await startStack({
    env: { RUNNERS_FILE: CATALOG },
    appendfsync: "everysec",
    sandbox: { ec2: { throttle: false }, light: { bootMs: 3_600_000 } },
  });
  const redis = new Redis(stack.redis.url);
  try {
    const count = WARM + counted;
    const sentAt = await deliverByTheClock(stack, { count, first: stand.reserve(count) });
    const calledAt = await waitForCalls(stack, redis, [...sentAt.keys()]);
    return [...sentAt].slice(WARM).map(([key, at]) => (calledAt.get(key) ?? Number.NaN) - at);
  } finally {
    redis.disconnect();
    await stack.stop();
  }
}

/** When each was sent, by the key of its demand. */
async function deliverByTheClock(
  stack: Stack,
  { count, first }: { readonly count: number; readonly first: number },
): Promise<Map<string, number>> {
  const requests = createRequests({
    ...{
      path: "/webhook",
      event: "workflow_job",
      payload: makePayload(),
      secret: stack.settings.WEBHOOK_TOKEN ?? "",
    },
    ...{ count, first, isRepeating: false, isForged: false },
  });
  const sentAt = new Map<string, number>();
  const statuses = new Set<number>();
  const answered = Promise.withResolvers<void>();
  let answers = 0;
  const open = () =>
    openConnection(Number(new URL(stack.webhookUrl).port), {
      onAnswer(status) {
        statuses.add(status);
        if (++answers === count) answered.resolve();
      },
      onError: answered.reject,
    });
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, open));
  const begun = performance.now();
  for (let index = 0; index < count; index += 1) {
    await sleep(Math.max(0, begun + (index * 1_000) / PER_SECOND - performance.now()));
    const request = requests.createBuffer();
    const id = requests.writeNext(request);
    sentAt.set(`wfj-${id}`, Date.now());
    connections[index % CONNECTIONS]?.send(request);
  }
  const late = sleep(PATIENCE_MS, undefined, { ref: false }).then(() => {
    throw new Error(`only ${answers} of ${count} deliveries answered`);
  });
  await Promise.race([answered.promise, late]);
  for (const connection of connections) connection.close();
  if ([...statuses].join() !== "202") throw new Error(`answers other than 202: ${[...statuses].join(", ")}`);
  return sentAt;
}

/** When the provider was called for each key: by the launch that the ledger has it in, and the tag on its machines. */
async function waitForCalls(
  stack: Stack,
  redis: Redis,
  keys: readonly string[],
): Promise<Map<string, number>> {
  const deadline = Date.now() + PATIENCE_MS;
  while (stack.sandbox.ec2.instances().length < keys.length) {
    if (Date.now() > deadline)
      throw new Error(`only ${stack.sandbox.ec2.instances().length} machines; ${lastLines(stack)}`);
    await sleep(50);
  }
  const byLaunch = new Map(
    stack.sandbox.ec2
      .instances()
      .flatMap(({ tags, launchedAt }) =>
        Object.values(tags).map((tag): [string, number] => [tag, launchedAt]),
      ),
  );
  const launchIds = await Promise.all(keys.map((key) => redis.hget(`{grp}:job:${key}`, "launchIds")));
  return new Map(
    keys.map((key, at) => [key, byLaunch.get(launchIds[at]?.split(" ")[0] ?? "") ?? Number.NaN]),
  );
}

function lastLines(stack: Stack): string {
  const lines = stack.workers.flatMap((worker) => worker.lines.slice(-5));
  return `the worker's last lines:\n${lines.map((line) => JSON.stringify(line)).join("\n")}`;
}

function percentile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

async function measureP50(stand: Stand): Promise<Measure> {
  const ways = await measureWays(stand, COUNTED_FOR_P50);
  return { value: percentile(ways, 0.5), figures: { p99Ms: percentile(ways, 0.99), jobs: ways.length } };
}

async function measureP99(stand: Stand): Promise<Measure> {
  const ways = await measureWays(stand, COUNTED_FOR_P99);
  return { value: percentile(ways, 0.99), figures: { p50Ms: percentile(ways, 0.5), jobs: ways.length } };
}

/** How long grp itself takes: from the delivery to the provider call. */
export const overheadRows: readonly Row[] = [
  {
    ...{ name: "overhead-p50", unit: "ms (p50)", target: { atMost: 25 }, isOnce: true },
    about: `delivery to provider call, ${PER_SECOND} jobs/s`,
    measure: measureP50,
  },
  {
    ...{ name: "overhead-p99", unit: "ms (p99)", target: { atMost: 150 }, isOnce: true },
    about: "the same, measured anew",
    measure: measureP99,
  },
];
