import type { WorkflowJobRecord } from "@grp/ledger";

export type ChooseToCheck = (demands: readonly WorkflowJobRecord[]) => readonly WorkflowJobRecord[];

/** A workflow job that has waited that long may have ended without our hearing of it; asked again as often. */
const EVERY_MS = 300_000;

/** Per sweep, 600 requests an hour at one sweep each 30 s: an eighth of what a token may do. */
const MOST = 5;

/** Which workflow jobs, of those that wait or run unheard, GitHub is asked about: those not asked for the longest time. */
export function createChooser(now: () => number): ChooseToCheck {
  const asked = new Map<string, number>();
  return (demands) => {
    // Nothing to choose from says nothing of those asked before.
    if (demands.length === 0) return [];
    const open = new Set(demands.map(({ key }) => key));
    for (const key of asked.keys()) if (!open.has(key)) asked.delete(key);
    const since = (record: WorkflowJobRecord) =>
      asked.get(record.key) ?? record.times.received ?? record.demand.receivedAt;
    const due = demands.filter((record) => now() - since(record) >= EVERY_MS);
    const chosen = [...due].sort((a, b) => since(a) - since(b)).slice(0, MOST);
    for (const { key } of chosen) asked.set(key, now());
    return chosen;
  };
}
