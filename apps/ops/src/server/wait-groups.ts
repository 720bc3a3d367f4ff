import type { WorkflowJobView } from "../view.ts";

/** Workflow jobs of one class that wait for the same. */
export interface WaitGroup {
  readonly runnerClass: string;
  readonly waitsFor: string;
  readonly count: number;
  /** Of the one that waits longest. */
  readonly since: number;
  readonly key: string;
  readonly next: string;
}

/** Who has waited longest comes first. */
export function groupWaits(views: readonly WorkflowJobView[]): readonly WaitGroup[] {
  const groups = Map.groupBy(
    views.filter(({ explanation }) => explanation.waitsFor !== undefined),
    ({ demand, explanation }) => `${demand.runnerClass}|${toKind(explanation.waitsFor ?? "")}`,
  );
  return [...groups.values()].map(toGroup).sort((one, other) => one.since - other.since);
}

function toGroup(views: readonly WorkflowJobView[]): WaitGroup {
  const oldest = views.reduce((one, other) => (other.demand.queuedAt < one.demand.queuedAt ? other : one));
  return {
    runnerClass: oldest.demand.runnerClass,
    waitsFor: toKind(oldest.explanation.waitsFor ?? ""),
    count: views.length,
    since: oldest.demand.queuedAt,
    key: oldest.key,
    next: oldest.explanation.next,
  };
}

/** Without the place in the line or the time left, which are each one's own. */
function toKind(waitsFor: string): string {
  return waitsFor.replace(/( \(\d+ ahead\)|, for .+ more)$/, "");
}
