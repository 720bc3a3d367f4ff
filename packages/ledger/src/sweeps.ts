import type { Store } from "./store.ts";
import type { LastSweep, Ledger, Warning } from "./types.ts";

/** Nobody looks at a house that was shut for so long. */
const KEPT_MS = 30 * 24 * 3_600_000;

/** Rounds that may be missed, and the time that a restart of all workers may take. */
const [MISSED_ROUNDS, LEAST_LATE_MS] = [5, 150_000];

export function createSweeps(store: Store): Pick<Ledger, "recordSweep" | "getLastSweep"> {
  const key = store.key("last-sweep");
  return {
    async recordSweep(sweep) {
      await store.redis.set(key, JSON.stringify(sweep), "PX", KEPT_MS);
    },
    async getLastSweep() {
      const text = await store.redis.get(key);
      return text === null ? null : (JSON.parse(text) as LastSweep);
    },
  };
}

/** Told by whoever looks: where no worker lives, or none can sweep, nobody is left to raise it. */
export function warnOfNoSweep(last: LastSweep | null, now: number): readonly Warning[] {
  if (!last) return [];
  const since = last.at + Math.max(MISSED_ROUNDS * last.everyMs, LEAST_LATE_MS);
  const text =
    "no sweep has come to its end for more than five rounds: nobody mends what goes wrong; see whether a worker runs, and sweep.error in its log";
  return now > since ? [{ kind: "sweep", text, since, at: now }] : [];
}
