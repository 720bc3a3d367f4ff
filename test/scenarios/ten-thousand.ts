import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { closeRedis, createRedis, type Redis } from "../../packages/runtime/src/index.ts";
import type { Stack } from "../../packages/sandbox/src/stack/index.ts";
import {
  describeRest,
  describeWaits,
  type Findings,
  feed,
  inSeconds,
  NO_LIMITS,
  openStack,
  renderCatalog,
  untilServed,
} from "./harness.ts";

const PER_SECOND = 20;
const SWEEPS_LOOKED_AT = 10;

/** Ten thousand workflow jobs (JOBS says otherwise) go the whole way; then what they cost, once they are over. */
export async function tenThousand(): Promise<Findings> {
  const count = Number(process.env.JOBS ?? 10_000);
  // What GitHub and AWS allow would make it two hours. Sweeps often, for many of them to be seen.
  const stack = await openStack({
    runners: renderCatalog({ maxRunners: 2_000 }) + NO_LIMITS,
    env: { LOG_LEVEL: "warn", SWEEP_INTERVAL: "2" },
    sandbox: { light: { bootMs: 300 }, ec2: { throttle: false } },
  });
  const redis = createRedis(stack.redis.url, {
    name: "grp-scenario",
    onError: (error) => console.error(error.message),
  });
  try {
    await once(redis, "ready");
    const before = await readMemory(redis);
    const jobs = await feed(stack, {
      label: "linux",
      perSecond: PER_SECOND,
      forMs: (count / PER_SECOND) * 1_000,
      durationMs: 100,
    });
    await untilServed(stack, count, 600_000);
    const begunAt = Date.now();
    while (
      stack.sandbox.ec2.instances().some(({ state }) => state !== "terminated") &&
      Date.now() - begunAt < 120_000
    )
      await sleep(500);
    // The last terminations are confirmed some seconds later.
    await sleep(15_000);
    const after = await readMemory(redis);
    return [
      ["jobs", describeWaits(jobs)],
      [
        "Redis memory",
        `${Math.round((after.bytes - before.bytes) / count)} bytes a job (${(after.bytes / 1e6).toFixed(1)} MB with ${count}, ${(before.bytes / 1e6).toFixed(1)} MB empty)`,
      ],
      ["Redis keys", `${((after.keys - before.keys) / count).toFixed(2)} a job`],
      ...(await watchSweeps(stack)),
      ...describeRest(stack),
    ];
  } finally {
    await closeRedis(redis);
    await stack.stop();
  }
}

async function readMemory(redis: Redis): Promise<{ bytes: number; keys: number }> {
  const info = await redis.info("memory");
  return { bytes: Number(/^used_memory:(\d+)/m.exec(info)?.[1]), keys: await redis.dbsize() };
}

/** Nothing runs now: what a sweep takes and asks all the same. */
async function watchSweeps(stack: Stack): Promise<Findings> {
  const { github, ec2, codemagic } = stack.sandbox;
  const before = await countSweeps(stack);
  github.calls.length = 0;
  ec2.calls.length = 0;
  const builds = codemagic.calls.length;
  let after = before;
  while (after.count < before.count + SWEEPS_LOOKED_AT) {
    await sleep(200);
    after = await countSweeps(stack);
  }
  const sweeps = after.count - before.count;
  const each = (number: number) => (number / sweeps).toFixed(1);
  return [
    ["a sweep over them takes", inSeconds(((after.seconds - before.seconds) / sweeps) * 1_000)],
    [
      "calls a sweep, redelivery and search included",
      `GitHub ${each(github.calls.length)}, EC2 ${each(ec2.calls.length)}, CodeMagic ${each(codemagic.calls.length - builds)} (${sweeps} sweeps)`,
    ],
  ];
}

async function countSweeps({ workers }: Stack): Promise<{ count: number; seconds: number }> {
  const pages = await Promise.all(
    workers.map(async ({ internalUrl }) => (await fetch(`${internalUrl}/metrics`)).text()),
  );
  const sum = (name: string) =>
    pages.reduce(
      (total, page) => total + Number(new RegExp(`^${name}(?:{[^}]*})? (\\S+)$`, "m").exec(page)?.[1] ?? 0),
      0,
    );
  return { count: sum("grp_sweep_seconds_count"), seconds: sum("grp_sweep_seconds_sum") };
}
