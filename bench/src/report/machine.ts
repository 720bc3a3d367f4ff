import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import type { Redis } from "ioredis";
import { placement } from "../stand/cores.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;

/** Where and with what the figures were taken: without it they say nothing. */
export async function describeMachine(redis: Redis): Promise<Record<string, unknown>> {
  return {
    takenAt: new Date().toISOString(),
    commit: describeCommit(),
    cpu: cpus()[0]?.model ?? "?",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${process.arch} ${release()}`,
    loadBefore: loadavg()[0],
    placement,
    node: process.version,
    redis: /redis_version:(\S+)/.exec(await redis.info("server"))?.[1] ?? "?",
    libraries: Object.fromEntries(
      [
        ...["ingress:express", "ingress:@octokit/webhooks", "queue:bullmq", "queue:ioredis"],
        ...["runtime:winston", "runtime:prom-client", "ingress:zod", "bench:fastify"],
      ].map((entry) => versionOf(entry)),
    ),
  };
}

/** `[name, version]` of a library as that part of the house uses it. */
function versionOf(entry: string): [string, string] {
  const [part = "", name = ""] = entry.split(":");
  const folder = { ingress: "apps/ingress", bench: "bench" }[part] ?? `packages/${part}`;
  // By path: not every package lets its package.json be imported.
  const [found] = createRequire(`${ROOT}${folder}/package.json`).resolve.paths(name) ?? [];
  const manifest = JSON.parse(readFileSync(`${found}/${name}/package.json`, "utf8")) as { version: string };
  return [name, manifest.version];
}

function describeCommit(): string {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { cwd: ROOT, encoding: "utf8" }).trim();
  } catch {
    return "?";
  }
}
