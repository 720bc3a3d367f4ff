import type { Row } from "../row.ts";
import { latencyRows } from "./latency.ts";
import { throughputRows } from "./throughput.ts";

/** Every row, in the order of the table. A baseline stands before the rows that are compared with it. */
export const rows: readonly Row[] = [...throughputRows, ...latencyRows];
