import type { CapCount, ClassCount, Ledger, LongestWait, RateLimit, Warning } from "./types.ts";

/** What the ledger counts, for the status page and for gauges. */
export interface LedgerCounts {
  readonly caps: readonly CapCount[];
  readonly rateLimits: readonly RateLimit[];
  readonly classes: readonly ClassCount[];
  readonly oldest: readonly LongestWait[];
  readonly dead: number;
  readonly warnings: readonly Warning[];
  /** Since the last sweep's end; absent when none is known. */
  readonly sweepAgeMs?: number;
}

/** A few round trips to Redis, however much there is. */
export async function readCounts(ledger: Ledger, at: number): Promise<LedgerCounts> {
  const [caps, rateLimits, classes, oldest, dead, warnings, lastSweep] = await Promise.all([
    ledger.listCaps(),
    ledger.listRateLimits(at),
    ledger.countByClass(),
    ledger.listLongestWaits(at),
    ledger.countDead(),
    ledger.listWarnings(at),
    ledger.getLastSweep(),
  ]);
  const counts = { caps, rateLimits, classes, oldest, dead, warnings };
  return lastSweep ? { ...counts, sweepAgeMs: Math.max(at - lastSweep.at, 0) } : counts;
}
