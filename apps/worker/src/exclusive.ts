import { randomUUID } from "node:crypto";
import type { Ledger } from "@grp/ledger";

/** As long as a queue job's own lock: whoever goes on with a dead worker's launch finds it free. */
const LOCK_MS = 10_000;
const RENEW_MS = 3_000;

/** Marks that another process is at it. */
export const ELSEWHERE = Symbol("elsewhere");

export interface Lock {
  readonly name: string;
  readonly owner: string;
  readonly ttlMs: number;
}

/** A lock that nobody has yet: to be taken by `doAlone`, or with what the ledger writes. */
export function createLock(name: string): Lock {
  return { name, owner: randomUUID(), ttlMs: LOCK_MS };
}

/**
 * Does `work` unless another process does the same at this moment; `isOurs`: the lock is taken already. Should it be lost
 * meanwhile (a frozen process, Redis away), the work's signal ends it.
 */
export async function doAlone<T>(
  ledger: Ledger,
  lock: Lock & { readonly isOurs?: boolean },
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | typeof ELSEWHERE> {
  const { name, owner } = lock;
  if (!lock.isOurs && !(await ledger.tryLock(name, owner, LOCK_MS))) return ELSEWHERE;
  const lost = new AbortController();
  const renew = async () => {
    const isOurs = await ledger.tryLock(name, owner, LOCK_MS);
    if (!isOurs) lost.abort(new Error(`another process has ${name} now`));
  };
  // A renewal that fails with Redis is made again; two more fit into the lock's time.
  const timer = setInterval(() => void renew().catch(() => undefined), RENEW_MS);
  timer.unref();
  try {
    return await work(AbortSignal.any([signal, lost.signal]));
  } finally {
    clearInterval(timer);
    // Nobody need wait for it; should it fail, the lock ends by itself.
    void ledger.unlock(name, owner).catch(() => undefined);
  }
}
