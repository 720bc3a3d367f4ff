import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { closeRedis, createRedis, type Redis } from "@grp/runtime";
import { expect } from "chai";
import { startRedis, type TestRedis } from "../../../../test/support/redis.ts";
import {
  type IngressOptions,
  startIngress,
  type TestIngress,
  TICKET_SECRETS,
  WEBHOOK_SECRETS,
} from "./ingress.ts";

/** One Redis for a file's tests, emptied before each; the ingress is each test's own. */
export interface Suite {
  readonly redis: TestRedis;
  /** A connection of the test's own. */
  readonly client: Redis;
  start(options?: Partial<IngressOptions>): Promise<TestIngress>;
  /** What must never be seen in the log or in Redis, besides the secrets that are always there. */
  hide(...secrets: string[]): void;
}

/**
 * Sets the hooks of a `describe`. Each test ends with a look for secrets: in the whole log, and in every write that
 * Redis has ever been sent (its append-only file).
 */
export function useIngress(): Suite {
  let redis: TestRedis;
  let client: Redis;
  let started: TestIngress[] = [];
  let secrets: string[] = [];
  before(async () => {
    redis = await startRedis({ aof: true });
    client = createRedis(redis.url, { name: "suite", onError: () => undefined });
  });
  after(async () => {
    await closeRedis(client);
    await redis.stop();
  });
  beforeEach(async () => {
    // It may have been killed by the test before.
    if (client.status !== "ready") await once(client, "ready");
    await client.flushall();
    secrets = [...WEBHOOK_SECRETS, ...TICKET_SECRETS];
  });
  afterEach(async () => {
    const text = started.map((ingress) => ingress.logText()).join("") + readAof(redis);
    await Promise.all(started.map((ingress) => ingress.close()));
    started = [];
    expect(secrets.filter((secret) => text.includes(secret))).to.deep.equal([], "secrets in log or Redis");
  });
  return {
    get redis() {
      return redis;
    },
    get client() {
      return client;
    },
    async start(options) {
      const ingress = await startIngress({ redis, ...options });
      started.push(ingress);
      return ingress;
    },
    hide: (...more) => void secrets.push(...more),
  };
}

function readAof(redis: TestRedis): string {
  const folder = path.join(redis.dir, "appendonlydir");
  return readdirSync(folder)
    .map((file) => readFileSync(path.join(folder, file), "latin1"))
    .join("");
}

/** Nothing was written down and nothing enqueued. */
export async function expectNoEffect(ingress: TestIngress): Promise<void> {
  const jobs = await ingress.ledger.listWorkflowJobs(10);
  const counts = await ingress.producer.counts();
  expect({ jobs, queued: counts.filter(({ count }) => count > 0) }).to.deep.equal({ jobs: [], queued: [] });
}
