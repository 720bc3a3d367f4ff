import { requireRate } from "../load/load.ts";
import type { Measure, Row } from "../row.ts";
import type { ServerName, Stand } from "../stand/stand.ts";
import { asThroughput, deliver, REPEATED } from "./deliver.ts";

/** Twice what the largest burst of one repository brings in a second. */
const RATE = 1_000;
/** At that rate, after `warm`. */
const WARM_SECONDS = 4;

const measureAt =
  (server: ServerName) =>
  async (stand: Stand): Promise<Measure> => {
    await warm(stand, server);
    const load = await deliver(stand, {
      ...{ servers: [server] as const, expect: 202 },
      load: { ratePerSecond: RATE, warmSeconds: WARM_SECONDS, seconds: 6 },
    });
    requireRate(load, RATE);
    return { ...asThroughput(load), value: load.p99Ms };
  };

/**
 * A new one, for what the rows before left in its memory is collected some time or other. It compiles its busy functions
 * under full load: at this rate it would take many times as long.
 */
async function warm(stand: Stand, server: ServerName): Promise<void> {
  await stand.stop(server);
  const load = server === "ingress" ? {} : REPEATED;
  await deliver(stand, { servers: [server], expect: 202, load: { ...load, seconds: 1 } });
}

const unit = "ms (p99)";

/** How long an answer takes at 1,000 deliveries a second that come by the clock, not when the server is ready for them. */
export const latencyRows: readonly Row[] = [
  {
    ...{ name: "p99-bare", unit, about: `node:http alone at ${RATE} deliveries/s` },
    measure: measureAt("bare"),
  },
  {
    ...{ name: "p99-durable", unit, baseline: "p99-bare" },
    about: `signature, parse and one XADD at ${RATE} deliveries/s`,
    measure: measureAt("durable"),
  },
  {
    ...{ name: "p99-ingress", unit, baseline: "p99-bare", target: { atMost: 2 } },
    about: `the ingress at ${RATE} deliveries/s`,
    measure: measureAt("ingress"),
  },
];
