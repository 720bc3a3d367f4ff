import type { Demand, ProviderName, Scope } from "@grp/core";
import type { Note, RunnerRecord, RunnerStep, WorkflowJobUpdate } from "@grp/ledger";
import type { World } from "./world.ts";

/** One thing to mend. Data only: `act.ts` does it, each by itself. */
export type Deed =
  /** Ends a machine; GitHub is asked first whether its runner is busy. */
  | {
      readonly kind: "end";
      readonly runnerName: string;
      readonly launchId: string;
      readonly provider: ProviderName;
      readonly instanceId?: string;
      readonly reason: string;
    }
  /** Takes a runner out of the supply at once, tells its demand why, and ends its machine. */
  | { readonly kind: "retire"; readonly runner: RunnerRecord; readonly reason: string; readonly text: string }
  /** The provider never answered: the launch counts as failed; a machine that turns up later is a stray. */
  | { readonly kind: "give-up-launch"; readonly runner: RunnerRecord; readonly text: string }
  | { readonly kind: "note"; readonly runnerName: string; readonly note: Note }
  | { readonly kind: "note-demand"; readonly key: string; readonly note: Note }
  | { readonly kind: "record-step"; readonly runnerName: string; readonly step: RunnerStep }
  | { readonly kind: "deregister"; readonly scope: Scope; readonly runnerId: number; readonly name: string }
  | {
      readonly kind: "enqueue";
      readonly demand: Demand;
      readonly provider: ProviderName;
      readonly why: string;
    }
  | { readonly kind: "fail"; readonly demand: Demand; readonly errorClass: string; readonly message: string }
  | {
      readonly kind: "record-workflow-job";
      readonly state: "in_progress" | "completed";
      readonly update: WorkflowJobUpdate;
    }
  | { readonly kind: "release-place"; readonly holder: string }
  | { readonly kind: "forget-cap"; readonly name: string }
  /** Tells people of what will fail if nobody looks; `text` is what is the same each time. */
  | { readonly kind: "warn"; readonly about: string; readonly text: string };

/** Compares what is with what should be. Pure: the same world gives the same deeds. */
export interface Rule {
  readonly name: string;
  judge(world: World): readonly Deed[];
}

/** A person must look: nobody serves its workflow job any more, and nothing else would ever say so. */
export function failWithoutClass(demand: Demand): Deed {
  const message = `its class left the catalog: there is no runner class "${demand.runnerClass}"`;
  return { kind: "fail", demand, errorClass: "invalid-spec", message };
}

/** The deed that ends a runner's machine. */
export function endRunner(runner: RunnerRecord, reason: string): Deed {
  const { runnerName, launchId, provider, instanceId } = runner;
  const base = { kind: "end" as const, runnerName, launchId, provider, reason };
  return instanceId === undefined ? base : { ...base, instanceId };
}
