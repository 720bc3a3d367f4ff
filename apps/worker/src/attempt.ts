import type { Demand, ProviderName, RunnerClass } from "@grp/core";
import type { WorkContext } from "@grp/queue";
import type { WorkerContext } from "./context.ts";
import type { LaunchHistory } from "./history.ts";
import { releasePlace } from "./places.ts";

/** One demand on its way to a machine, this time: what every step of `provision` looks at. */
export interface Attempt {
  readonly demand: Demand;
  readonly runnerClass: RunnerClass;
  /** Whose queue the demand came from: its offerings are walked here, another provider's in that one's queue. */
  readonly provider: ProviderName;
  /** Who holds its places: its queue job's id, so that a place that becomes free can wake it. */
  readonly holder: string;
  readonly work: WorkContext;
  readonly history: LaunchHistory;
}

/** How one try ended, unless it threw. `fields` go into the one log line. */
export type ProvisionOutcome =
  | {
      readonly kind: "launched" | "skipped" | "handed-over";
      readonly fields: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: "waiting"; readonly delayMs: number; readonly why: string };

/** Enough machines are there or on their way: nothing is started, and its turn in the line is given up. */
export async function skip(
  context: WorkerContext,
  { holder, demand }: Attempt,
  why: string,
): Promise<ProvisionOutcome> {
  await releasePlace(context, holder);
  await context.ledger.setWaitsFor(demand.key, null);
  return { kind: "skipped", fields: { why } };
}
