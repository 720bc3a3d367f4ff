import type { Demand, ProviderName, RunnerClass } from "@grp/core";
import type { WorkContext } from "@grp/queue";
import type { LaunchHistory } from "./history.ts";

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
  | { readonly kind: "launched"; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly kind: "skipped" | "handed-over"; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly kind: "waiting"; readonly delayMs: number; readonly why: string };
