import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { redisAnswers } from "./ports.ts";
import { type StackProcess, startProcess } from "./process.ts";

export interface StackRedis extends StackProcess {
  readonly url: string;
  readonly port: number;
}

export interface RedisPlace {
  readonly port: number;
  /** Its data and its log. */
  readonly folder: string;
  readonly path: string;
  /** `always`: nothing acknowledged is ever lost. `everysec` is faster and may lose the last second or two. */
  readonly appendfsync: "always" | "everysec";
}

/** A Redis or Valkey with its append-only file on. */
export function startRedis({ port, folder, path, appendfsync }: RedisPlace): StackRedis {
  const program = findProgram(["redis-server", "valkey-server"], path);
  if (!program) throw new Error("There is no redis-server or valkey-server on PATH: run `make setup`.");
  const started = startProcess({
    name: "redis",
    program,
    args: [
      ...["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""],
      ...["--appendonly", "yes", "--appendfsync", appendfsync],
      ...["--maxmemory-policy", "noeviction", "--daemonize", "no"],
    ],
    env: { PATH: path },
    cwd: folder,
    logFile: join(folder, "redis.log"),
    isReady: () => redisAnswers(port),
  });
  return Object.assign(started, { url: `redis://127.0.0.1:${port}`, port });
}

export function findProgram(names: readonly string[], path: string): string | undefined {
  return names.flatMap((name) => path.split(delimiter).map((folder) => join(folder, name))).find(existsSync);
}
