import type { Row } from "../row.ts";
import { burstRows } from "./burst.ts";
import { costRows } from "./cost.ts";
import { drainRows } from "./drain.ts";
import { fairnessRows } from "./fairness.ts";
import { latencyRows } from "./latency.ts";
import { memoryRows } from "./memory.ts";
import { overheadRows } from "./overhead.ts";
import { throughputRows } from "./throughput.ts";

/** Every row, in the order of the table. A baseline stands before the rows that are compared with it. */
export const rows: readonly Row[] = [
  ...throughputRows,
  ...latencyRows,
  ...drainRows,
  ...overheadRows,
  ...memoryRows,
  ...costRows,
  ...burstRows,
  ...fairnessRows,
];
