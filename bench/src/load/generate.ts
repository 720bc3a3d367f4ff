// The load generator, a process of its own: `node generate.ts '<LoadOptions as JSON>'` prints "begin" when it starts to
// count, and in the end a LoadResult as JSON.
import { createHistogram } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { type Connection, openConnection } from "./connection.ts";
import type { LoadOptions, LoadResult } from "./load.ts";
import { createRequests } from "./requests.ts";

interface Line {
  readonly connection: Connection;
  readonly buffer: Buffer;
  sentAt: number;
}

const options = JSON.parse(process.argv[2] ?? "{}") as LoadOptions;
const requests = createRequests(options);
const latencies = createHistogram({ figures: 3 });
const statuses: Record<number, number> = {};
/** Connections with nothing under way; in an open loop also the moments of requests that found none. */
const idle: Line[] = [];
const late: number[] = [];
let [isCounting, isOver, underWay] = [false, false, 0];
let tellAllAnswered: () => void = () => undefined;
const allAnswered = new Promise<void>((resolve) => {
  tellAllAnswered = resolve;
});

function fail(reason: string): void {
  if (isOver) return;
  console.error(`load: ${reason}`);
  process.exit(1);
}

function send(line: Line, from: number): void {
  if (requests.writeNext(line.buffer) !== undefined) {
    line.sentAt = from;
    underWay += 1;
    line.connection.send(line.buffer);
  } else if (options.seconds !== undefined) fail(`${options.count} deliveries were not enough`);
  else if (underWay === 0) tellAllAnswered();
}

function take(line: Line, status: number): void {
  const now = performance.now();
  underWay -= 1;
  if (isCounting) {
    statuses[status] = (statuses[status] ?? 0) + 1;
    latencies.record(Math.max(1, Math.round((now - line.sentAt) * 1_000)));
  }
  if (isOver) return;
  const due = options.ratePerSecond === undefined ? now : late.shift();
  if (due === undefined) idle.push(line);
  else send(line, due);
}

async function openLine(port: number): Promise<Line> {
  const line: Line = {
    connection: await openConnection(port, {
      onAnswer: (status) => take(line, status),
      onError: (error) => fail(error.message),
    }),
    buffer: requests.createBuffer(),
    sentAt: 0,
  };
  return line;
}

/**
 * Sends what is due by the clock, whatever the server does. A request that finds no free connection waits, and its wait
 * counts. The connections take turns: a server closes one that it never hears of.
 */
function keepPace(rate: number): NodeJS.Timeout {
  const begun = performance.now();
  let sent = 0;
  return setInterval(() => {
    const now = performance.now();
    for (; sent < ((now - begun) / 1_000) * rate; sent += 1) {
      const line = idle.shift();
      if (line) send(line, now);
      else late.push(now);
    }
  }, 1);
}

async function count(): Promise<LoadResult> {
  console.log("begin");
  const cpu = process.cpuUsage();
  const begun = performance.now();
  isCounting = true;
  await (options.seconds === undefined ? allAnswered : sleep(options.seconds * 1_000));
  isCounting = false;
  isOver = true;
  const { user, system } = process.cpuUsage(cpu);
  return {
    ...{ seconds: (performance.now() - begun) / 1_000, answers: latencies.count, statuses },
    ...{ p50Ms: latencies.percentile(50) / 1_000, p99Ms: latencies.percentile(99) / 1_000 },
    generatorCpuMs: (user + system) / 1_000,
  };
}

const { ports, connections, ratePerSecond, warmSeconds } = options;
const lines = await Promise.all(
  Array.from({ length: connections }, (_, at) => openLine(ports[at % ports.length] ?? 0)),
);
// What was made so far stays; collected later, it would hold up answers that are there.
globalThis.gc?.();
const begin = () => {
  if (ratePerSecond === undefined) for (const line of lines) send(line, performance.now());
  else idle.push(...lines);
  return ratePerSecond === undefined ? undefined : keepPace(ratePerSecond);
};
// What is sent until all are answered is counted from the first one on.
const counted = options.seconds === undefined ? count() : undefined;
const pace = begin();
if (!counted) await sleep(warmSeconds * 1_000);
const result = await (counted ?? count());
clearInterval(pace);
console.log(JSON.stringify(result));
for (const { connection } of lines) connection.close();
