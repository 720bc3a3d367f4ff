import { type Demand, scopeKey } from "@grp/core";
import type { Ledger } from "@grp/ledger";

/** Whether the machines on their way and idle already meet the workflow jobs that wait, for this class and scope. */
export async function isCovered(ledger: Ledger, demand: Demand): Promise<boolean> {
  const scope = scopeKey(demand.scope);
  const counts = await ledger.countByClass();
  const mine = counts.find((count) => count.runnerClass === demand.runnerClass && count.scope === scope);
  return !mine || mine.demand <= mine.supply;
}
