import type { Cluster, Redis } from "ioredis";

export type RedisClient = Redis | Cluster;

/** A record's hash as Redis keeps it, and its notes (JSON), oldest first. */
export interface Stored {
  readonly hash: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
}

/** A script's answer to `read(kind, id)`: HGETALL as a flat list, then the notes. */
export type StoredReply = readonly [hash: readonly string[], notes: readonly string[]];

export interface Script {
  /** Name of the client's command, unique in the process. */
  readonly name: string;
  readonly lua: string;
}

/** The only place that talks to Redis: scripts and bulk reads. */
export interface Store {
  readonly redis: RedisClient;
  readonly retentionMs: number;
  readonly now: () => number;
  key(name: string): string;
  /** Runs one atomic script; it sees `args` as table `A` (undefined members are left out), `more` from ARGV[2] on. */
  run<T>(script: Script, args: object, more?: readonly (string | Buffer)[]): Promise<T>;
  /** What `decode` makes of each, in the order of the ids; of one that is not there the hash is empty. */
  read<T>(kind: RecordKind, ids: readonly string[], decode: Decode<T>): Promise<readonly T[]>;
}

export type RecordKind = "job" | "launch" | "runner";

export type Decode<T> = (id: string, stored: Stored) => T;

type Pipeline = ReturnType<RedisClient["pipeline"]>;

/** Records read and decoded in one go: large enough to hide the latency, small enough that others in the process hardly wait. */
const BATCH = 32;

export function createStore(
  redis: RedisClient,
  options: { prefix: string; retentionMs: number; now: () => number },
): Store {
  const { prefix, retentionMs, now } = options;
  const defined = new Set<string>();
  const key = (name: string) => `${prefix}${name}`;

  function run<T>(script: Script, args: object, more: readonly (string | Buffer)[] = []): Promise<T> {
    if (!defined.has(script.name)) {
      redis.defineCommand(script.name, { lua: script.lua, numberOfKeys: 1 });
      defined.add(script.name);
    }
    type Command = (...args: readonly (string | Buffer)[]) => Promise<T>;
    const commands = redis as unknown as Record<string, Command>;
    // A text: see the prelude.
    const json = toLuaJson({ ...args, keepMs: String(retentionMs) });
    return (commands[script.name] as Command)(prefix, json, ...more);
  }

  async function read<T>(kind: RecordKind, ids: readonly string[], decode: Decode<T>): Promise<readonly T[]> {
    const records: T[] = [];
    for (let from = 0; from < ids.length; from += BATCH) {
      const batch = ids.slice(from, from + BATCH);
      const pipeline = redis.pipeline();
      for (const id of batch) pipeline.hgetall(key(`${kind}:${id}`)).lrange(key(`notes:${id}`), 0, -1);
      const replies = await runPipeline(pipeline);
      for (const [at, id] of batch.entries()) {
        const [hash, notes] = [replies[2 * at] as Stored["hash"], replies[2 * at + 1] as string[]];
        records.push(decode(id, { hash, notes }));
      }
    }
    return records;
  }

  return { redis, retentionMs, now, key, run, read };
}

/** Half of a surrogate pair, which JSON may hold and Lua's decoder refuses, becomes U+FFFD: it came from outside. */
function toLuaJson(args: object): string {
  const text = JSON.stringify(args);
  if (!/\\ud[89a-f]/.test(text)) return text;
  return JSON.stringify(args, (_name, value: unknown) =>
    typeof value === "string" ? value.toWellFormed() : value,
  );
}

/** All replies in order; the first error rejects. */
export async function runPipeline(pipeline: Pipeline): Promise<readonly unknown[]> {
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
}

export function fromReply([hash, notes]: StoredReply): Stored {
  const entries: [string, string][] = [];
  for (let at = 0; at < hash.length; at += 2) entries.push([hash[at] ?? "", hash[at + 1] ?? ""]);
  return { hash: Object.fromEntries(entries), notes };
}
