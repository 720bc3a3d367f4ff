import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { onCore } from "../stand/cores.ts";
import { cpuMsOf } from "../stand/process-stat.ts";
import type { RequestOptions } from "./requests.ts";

export interface LoadOptions extends RequestOptions {
  /** Connections are spread over them. */
  readonly ports: readonly number[];
  readonly connections: number;
  /** Not counted. */
  readonly warmSeconds: number;
  /** Without it, until all are sent and answered, each counted. */
  readonly seconds?: number;
  /** Open loop: this many a second, come what may. Closed loop without it: each connection sends as soon as it is answered. */
  readonly ratePerSecond?: number;
}

export interface LoadResult {
  readonly seconds: number;
  readonly answers: number;
  readonly statuses: Readonly<Record<number, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly generatorCpuMs: number;
}

/** The same, with the CPU time that the watched processes used meanwhile, in the order of their pids. */
export interface WatchedLoad extends LoadResult {
  readonly cpuMs: readonly number[];
}

const PROGRAM = new URL("generate.ts", import.meta.url).pathname;

/** Runs the generator on its own core and watches `pids` while it counts. Rejects when an answer has another status than `expect`. */
export async function runLoad(
  options: LoadOptions,
  { pids, expect }: { pids: readonly number[]; expect: number },
): Promise<WatchedLoad> {
  const [program, ...args] = onCore("load", [
    process.execPath,
    "--expose-gc",
    PROGRAM,
    JSON.stringify(options),
  ]);
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  let before: readonly number[] = [];
  let after: readonly number[] = [];
  let result: LoadResult | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === "begin") before = pids.map(cpuMsOf);
    else {
      after = pids.map(cpuMsOf);
      result = JSON.parse(line) as LoadResult;
    }
  }
  const [code] = await exited;
  if (code !== 0 || !result) throw new Error(`the load generator ended with ${code}`);
  const statuses = Object.keys(result.statuses);
  if (statuses.join() !== String(expect))
    throw new Error(`answers other than ${expect}: ${JSON.stringify(result.statuses)}`);
  return { ...result, cpuMs: after.map((ms, at) => ms - (before[at] ?? 0)) };
}

/** Of an open loop: a server that can't keep up is not as quick as those it answered make it look. The rest is under way. */
const REACHED = 0.98;

/** Throws when fewer answers came than the rate wants. */
export function requireRate(
  { answers, seconds }: Pick<LoadResult, "answers" | "seconds">,
  rate: number,
): void {
  if (answers < REACHED * rate * seconds)
    throw new Error(`only ${Math.round(answers / seconds)} of ${rate} answers/s: no latency at this rate`);
}
