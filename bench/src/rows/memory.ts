import { setTimeout as sleep } from "node:timers/promises";
import { makePayload } from "../load/payload.ts";
import { postAll } from "../load/post.ts";
import type { Measure, Row } from "../row.ts";
import { rssMiBOf } from "../stand/process-stat.ts";
import { SECRET, type Server, type Stand } from "../stand/stand.ts";
import { deliverMore } from "./deliver.ts";

/** Demands that are on their way at the same time: at most so many, and four portions at least, to see growth. */
const MOST_AT_ONCE = 5_000;
const PATIENCE_MS = 180_000;

/** With fewer, V8 is still on the way to its usual size. */
const MANY_PORTIONS = 10;
/** A collection more or less. */
const MOST_GROWTH = 1.2;
const CONNECTIONS = 16;
/** What somebody who looks on opens, so often after each portion. */
const PAGES = ["/", "/api/status", "/api/workflow-jobs", "/queues/"];
const LOOKS = 10;

const LEDGER = "{grp}:";
const QUEUE = "{grp}:grp-ec2:";

/**
 * What is left in Redis of a workflow job that has come and gone, and what the processes have grown to. Each is queued,
 * launched, in progress, completed and its machine ended by the real ingress and the real worker, on a cloud that answers
 * at once; somebody looks on at ops' pages.
 */
async function measureMemory(stand: Stand, count: number): Promise<Measure> {
  const { client } = stand.redis;
  // A worker that starts would work on what the row before has left.
  await stand.emptyRedis();
  const servers = await Promise.all(PROCESSES.map(([, server]) => stand.server(server)));
  const [ingress, , ops] = servers as [Server, Server, Server];
  const before = await usedBytes(stand);
  const rss: (readonly number[])[] = [];
  const portion = Math.min(MOST_AT_ONCE, Math.ceil(count / 4));
  for (let done = 0; done < count; done += portion) {
    const size = Math.min(portion, count - done);
    await deliverMore(stand, { servers: ["ingress"], beside: BESIDE, expect: 202, load: { count: size } });
    await until(async () => (await client.zcard(`${LEDGER}live`)) >= size && (await waiting(stand)) === 0);
    await finishAll(stand, ingress);
    await until(async () => (await client.zcard(`${LEDGER}live`)) === 0 && (await waiting(stand)) === 0);
    await lookOn(ops);
    rss.push(servers.map(({ pid }) => rssMiBOf(pid)));
  }
  const value = ((await usedBytes(stand)) - before) / count;
  for (const server of BESIDE) await stand.stop(server);
  return { value, figures: tellGrowth(rss) };
}

/** Those that take no deliveries. */
const BESIDE = ["instant-worker", "ops"] as const;

const PROCESSES = [
  ["ingress", "ingress"],
  ["worker", "instant-worker"],
  ["ops", "ops"],
] as const;

async function lookOn({ port }: Server): Promise<void> {
  for (let look = 0; look < LOOKS; look += 1)
    for (const page of PAGES) {
      const response = await fetch(`http://127.0.0.1:${port}${page}`);
      await response.arrayBuffer();
      if (!response.ok) throw new Error(`ops answered ${response.status} to ${page}`);
    }
}

/** Of each process, after each portion. Throws when the last half of many portions was not flat. */
function tellGrowth(rss: readonly (readonly number[])[]): Record<string, number> {
  const figures: Record<string, number> = {};
  for (const [at, [name]] of PROCESSES.entries()) {
    const own = rss.map((one) => one[at] ?? 0);
    const [first = 0, middle = 0, last = 0] = [own[0], own[Math.floor(own.length / 2)], own.at(-1)];
    if (own.length >= MANY_PORTIONS && last > middle * MOST_GROWTH)
      throw new Error(
        `${name} went on growing: ${middle.toFixed()} MiB half way, ${last.toFixed()} MiB in the end`,
      );
    Object.assign(figures, { [`${name}FirstMiB`]: first, [`${name}LastMiB`]: last });
  }
  return figures;
}

async function usedBytes({ redis }: Stand): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.client.info("memory"))?.[1]);
}

/** Queue jobs that are not over. */
async function waiting({ redis: { client } }: Stand): Promise<number> {
  const counts = await Promise.all([
    client.llen(`${QUEUE}wait`),
    client.llen(`${QUEUE}active`),
    client.zcard(`${QUEUE}delayed`),
  ]);
  return counts.reduce((total, one) => total + one, 0);
}

/** GitHub's `in_progress` and `completed` of every runner's workflow job. */
async function finishAll(stand: Stand, { port }: Server): Promise<void> {
  const { client } = stand.redis;
  const names = await client.zrange(`${LEDGER}live`, 0, "-1");
  const holders = await Promise.all(
    names.map((name) => client.hget(`${LEDGER}runner:${name}`, "placeHolder")),
  );
  const options = { port, secret: SECRET, connections: CONNECTIONS, expect: 200 };
  for (const action of ["in_progress", "completed"]) await postAll(payloads(action), options);

  function* payloads(action: string): Generator<string, undefined> {
    for (const [at, name] of names.entries())
      yield compose(action, name, Number(holders[at]?.replace("wfj-", "")));
    return undefined;
  }
}

function compose(action: string, runnerName: string, id: number): string {
  const payload = JSON.parse(makePayload()) as { action: string; workflow_job: Record<string, unknown> };
  const conclusion = action === "completed" ? "success" : null;
  const job = { ...payload.workflow_job, id, status: action, conclusion };
  return JSON.stringify({
    ...payload,
    action,
    workflow_job: { ...job, runner_id: id - 29_000_000_000, runner_name: runnerName },
  });
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`not within ${PATIENCE_MS} ms: ${isTrue}`);
    await sleep(50);
  }
}

const row = (name: string, count: number, more: Partial<Row> = {}): Row => ({
  ...{ name, unit: "bytes of Redis a job", isOnce: true, ...more },
  about: `left of ${count.toLocaleString("en")} finished workflow jobs, queue and ledger, all but the claim`,
  measure: (stand) => measureMemory(stand, count),
});

export const memoryRows: readonly Row[] = [
  row("memory", 2_000),
  row("memory-10k", 10_000, { isOnRequest: true }),
  row("memory-100k", 100_000, { isOnRequest: true }),
];
