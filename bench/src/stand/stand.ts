import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { findFreePort, startRedis } from "../../../test/support/redis.ts";
import { moveToCore } from "./cores.ts";
import { type Program, startProgram } from "./program.ts";

export const SECRET = "a webhook secret for benches";

/** Which program; `second-ingress` is another replica of the same. */
export type ServerName =
  | "bare"
  | "durable"
  | "ingress"
  | "second-ingress"
  | "ops"
  | "fastify"
  | "express"
  | "bare-worker"
  | "instant-worker";

export interface Server {
  readonly port: number;
  readonly pid: number;
  /** It has taken no load yet. */
  isFresh: boolean;
}

/** What rows are measured on: Redis and the servers, started when first asked for, and kept for all rounds. */
export interface Stand {
  /** AOF on, fsync every second, nothing evicted. */
  readonly redis: { readonly url: string; readonly pid: number; readonly client: Redis };
  readonly folder: string;
  server(name: ServerName): Promise<Server>;
  /**
   * Those alone run from now on, and the others are held still (SIGSTOP): an idle process tidies up its memory a while after
   * its load, on the same core.
   */
  focus(names: readonly ServerName[]): void;
  /** The next `server(name)` starts a new one. */
  stop(name: ServerName): Promise<void>;
  /** Nothing in Redis, and nothing of the rows before in its append-only file. */
  emptyRedis(): Promise<void>;
  /** Numbers of `count` deliveries that were never sent. */
  reserve(count: number): number;
  close(): Promise<void>;
}

/**
 * The append-only file is not written anew while a row is measured: Redis would, once in some 40,000 deliveries, in a process
 * beside it, which here takes half of the core of Redis and the load generator.
 */
const REDIS_SETTINGS = ["--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"] as const;

/** Runner classes of the benches. */
export const CATALOG = new URL("runners.yaml", import.meta.url).pathname;
const ROOT = new URL("../../../", import.meta.url).pathname;

const PROGRAMS: Readonly<Record<ServerName, string>> = {
  bare: "bench/src/servers/bare.ts",
  durable: "bench/src/servers/durable.ts",
  ingress: "apps/ingress/src/main.ts",
  "second-ingress": "apps/ingress/src/main.ts",
  ops: "apps/ops/src/main.ts",
  fastify: "bench/src/servers/fastify.ts",
  express: "bench/src/servers/express.ts",
  "bare-worker": "bench/src/servers/bare-worker.ts",
  "instant-worker": "bench/src/servers/instant-worker.ts",
};

export async function createStand(profileFolder?: string): Promise<Stand> {
  const folder = await mkdtemp(join(tmpdir(), "grp-bench-"));
  const redis = await startRedis({ aof: true, args: REDIS_SETTINGS });
  moveToCore("redis", redis.pid);
  const client = new Redis(redis.url);
  const servers = new Map<ServerName, Promise<Server>>();
  const programs = new Map<ServerName, Program>();
  const profiling =
    profileFolder === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", resolve(profileFolder)];
  let reserved = 0;

  async function start(name: ServerName): Promise<Server> {
    const [port, internalPort] = [await findFreePort(), await findFreePort()];
    const program = await startProgram({
      name,
      args: [...profiling, join(ROOT, PROGRAMS[name])],
      env: settingsOf({ port, internalPort, redisUrl: redis.url }),
      core: name === "second-ingress" ? "second-server" : "server",
      url: `http://127.0.0.1:${port}/`,
      logFile: join(folder, `${name}.log`),
    });
    programs.set(name, program);
    return { port, pid: program.pid, isFresh: true };
  }

  return {
    redis: { url: redis.url, pid: redis.pid, client },
    folder,
    server(name) {
      const known = servers.get(name) ?? start(name);
      servers.set(name, known);
      return known;
    },
    focus(names) {
      for (const [name, program] of programs) names.includes(name) ? program.resume() : program.hold();
    },
    async emptyRedis() {
      await client.flushall();
      const isRewriting = async () =>
        /aof_rewrite_(in_progress|scheduled):1/.test(await client.info("persistence"));
      while (await isRewriting()) await sleep(20);
      await client.bgrewriteaof();
      while (await isRewriting()) await sleep(20);
    },
    async stop(name) {
      await programs.get(name)?.stop();
      programs.delete(name);
      servers.delete(name);
    },
    reserve(count) {
      const first = reserved;
      reserved += count;
      return first;
    },
    async close() {
      await Promise.all([...programs.values()].map((program) => program.stop()));
      client.disconnect();
      await redis.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The ingress's and ops' real settings; the other servers read those they need. */
function settingsOf(place: { port: number; internalPort: number; redisUrl: string }): Record<string, string> {
  return {
    GRP_ENV_FILE: "none",
    REDIS_URL: place.redisUrl,
    WEBHOOK_TOKEN: SECRET,
    TICKET_SECRET: "a ticket secret for benches, long enough",
    GITHUB_TOKEN: "a token for benches",
    // Nobody listens there: a delivery needs no call to GitHub.
    GITHUB_API_URL: "http://127.0.0.1:9",
    RUNNERS_FILE: CATALOG,
    HOST: "127.0.0.1",
    PORT: String(place.port),
    OPS_PORT: String(place.port),
    OPS_HOST: "127.0.0.1",
    OPS_ANONYMOUS: "true",
    INTERNAL_PORT: String(place.internalPort),
    // A machine here ends as soon as its job has; in earnest it gets a moment to do so by itself.
    END_GRACE: "0",
    LOG_LEVEL: "info",
  };
}
