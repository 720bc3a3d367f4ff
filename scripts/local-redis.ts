import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { closeRedis, createRedis, type Redis, within } from "../packages/runtime/src/index.ts";
import { findRedisServer } from "../test/support/redis.ts";

export interface LocalRedis {
  readonly url: string;
  /** Settles when the server has ended; never for one that was found running. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

const startDeadlineMs = 10_000;
/** How this script's own connections are called; those of the apps are `grp-ingress` and the like. */
const OWN_NAME = "grp-run";

/**
 * A Redis that keeps its data (AOF) in `directory`. One left over from a run that was killed is used again, as two servers on
 * the same files would spoil them. It gets no signal of the terminal: it must outlive those who write to it.
 */
export async function startLocalRedis(directory: string): Promise<LocalRedis> {
  mkdirSync(directory, { recursive: true });
  const portFile = join(directory, "port");
  const lastPort = readPort(portFile);
  if (lastPort !== undefined && (await serves(lastPort, directory))) return adopt(lastPort);
  const port = await findPort();
  writeFileSync(portFile, String(port));
  const args = [
    ...["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--save", ""],
    ...["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"],
    ...["--logfile", "redis.log"],
  ];
  const child = spawn(findRedisServer(), args, { stdio: "ignore", detached: true });
  const deadline = performance.now() + startDeadlineMs;
  while (!(await serves(port, directory))) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`The local Redis did not start; see ${join(directory, "redis.log")}.`);
    await sleep(50);
  }
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const stop = () => {
    child.kill("SIGTERM");
    return ended;
  };
  return { url: urlOf(port), ended, stop };
}

/** Ended with the run that found it, unless another run uses it still. */
function adopt(port: number): LocalRedis {
  const end = async (redis: Redis) => {
    const clients = String(await redis.client("LIST"));
    const others = [...clients.matchAll(/ name=(grp-\S*)/g)].filter(([, name]) => name !== OWN_NAME);
    if (others.length === 0) await redis.shutdown();
  };
  const stop = () => ask(port, end).catch(() => undefined);
  return { url: urlOf(port), ended: new Promise(() => {}), stop };
}

const urlOf = (port: number) => `redis://127.0.0.1:${port}`;

function readPort(file: string): number | undefined {
  try {
    return Number(readFileSync(file, "utf8")) || undefined;
  } catch {
    return undefined;
  }
}

/** Whether the server on this port is ours: it answers, and its data is in this directory. */
async function serves(port: number, directory: string): Promise<boolean> {
  try {
    const [, found] = await ask(port, (redis) =>
      within(1_000, redis.config("GET", "dir") as Promise<string[]>),
    );
    return found === directory;
  } catch {
    return false;
  }
}

async function ask<T>(port: number, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = createRedis(urlOf(port), { name: OWN_NAME, onError: () => {} });
  try {
    await new Promise<void>((resolve, reject) => {
      redis.once("ready", resolve);
      redis.once("close", () => reject(new Error("closed")));
    });
    return await question(redis);
  } finally {
    await closeRedis(redis);
  }
}

function findPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
