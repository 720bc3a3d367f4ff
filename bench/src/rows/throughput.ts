import type { LoadOptions } from "../load/load.ts";
import type { Measure, Row } from "../row.ts";
import type { ServerName, Stand } from "../stand/stand.ts";
import { asThroughput, deliver, deliverMore, REPEATED } from "./deliver.ts";

const measureOne =
  (server: ServerName, expect: number, load: Partial<LoadOptions> = {}) =>
  async (stand: Stand): Promise<Measure> =>
    asThroughput(await deliver(stand, { servers: [server], expect, load }));

const unit = "deliveries/s";

/** How many deliveries a second one core takes: 64 connections, each sends the next as soon as it is answered. */
export const throughputRows: readonly Row[] = [
  {
    ...{ name: "bare", unit, about: "node:http alone: body read, 202" },
    measure: measureOne("bare", 202, REPEATED),
  },
  {
    ...{ name: "durable", unit, baseline: "bare" },
    about: "signature, parse and one XADD: the least that a durable 202 costs",
    measure: measureOne("durable", 202),
  },
  {
    ...{ name: "ingress", unit, baseline: "bare", target: { atLeast: 0.25 } },
    about: "the ingress: verified, matched, in ledger and queue, logged",
    measure: measureOne("ingress", 202),
  },
  {
    ...{ name: "irrelevant", unit, baseline: "bare", target: { atLeast: 0.5 } },
    about: "an event that is not ours: verified, ignored, logged",
    measure: measureOne("ingress", 200, { ...REPEATED, event: "check_run" }),
  },
  {
    ...{ name: "forged", unit, baseline: "irrelevant", target: { atLeast: 0.9 } },
    about: "a wrong signature: refused, logged; costs what a good one does, but for the noise",
    measure: measureOne("ingress", 401, { ...REPEATED, isForged: true }),
  },
  {
    ...{ name: "duplicates", unit, baseline: "ingress", target: { atLeast: 1 } },
    about: "deliveries of jobs that are enqueued already",
    measure: measureDuplicates,
  },
  {
    ...{ name: "two-ingress", unit: "deliveries/s a core", baseline: "ingress", target: { atLeast: 0.9 } },
    isByCpu: true,
    about: "two ingress processes on one Redis, each counted by its own CPU time",
    measure: measureTwo,
  },
  {
    ...{ name: "fastify", unit, baseline: "bare" },
    about: "Fastify as usually written + BullMQ add; no ledger, no log line",
    measure: measureOne("fastify", 202),
  },
  {
    ...{ name: "express", unit, baseline: "bare" },
    about: "Express 5 as usually written + BullMQ add; no ledger, no log line",
    measure: measureOne("express", 202),
  },
];

async function measureDuplicates(stand: Stand): Promise<Measure> {
  const count = 2_000;
  const known = { count, first: stand.reserve(count), isRepeating: true };
  const servers = ["ingress"] as const;
  await stand.emptyRedis();
  await deliverMore(stand, { servers, expect: 202, load: { ...known, isRepeating: false } });
  return asThroughput(await deliverMore(stand, { servers, expect: 200, load: { ...known, seconds: 4 } }));
}

/**
 * With fewer than four cores they share one (see `cores.ts`), so deliveries per second of their own CPU time say whether one
 * costs the other anything. Each has as many connections as one alone.
 */
async function measureTwo(stand: Stand): Promise<Measure> {
  const { value, figures } = asThroughput(
    await deliver(stand, { servers: ["ingress", "second-ingress"], expect: 202 }),
  );
  return { value: 1_000_000 / (figures?.serverUs ?? 0), figures: { ...figures, together: value } };
}
