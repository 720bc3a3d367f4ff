import { within } from "@grp/runtime";

/** Four seconds for a claim's turn and ten for GitHub's answer; what goes before takes less than one, as a rule. */
const WAIT_MS = 15_000;

/** For Redis to hear that they are given up, and for their answers. */
const GIVE_UP_MS = 2_000;

/**
 * The claims that are under way, so that a process that ends answers them all: a machine whose claim is cut off meets the
 * lock that nobody gives back, and has a second registration minted.
 */
export interface ClaimsInHand {
  hold(claim: Promise<void>): Promise<void>;
  /** The signal is over after `ms`, and for all when the process can wait no longer: each gives its lock back then. */
  limit<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Resolves once all are answered; 17 s at most. */
  end(): Promise<void>;
}

export function createClaimsInHand({ waitMs = WAIT_MS }: { readonly waitMs?: number } = {}): ClaimsInHand {
  const claims = new Set<Promise<void>>();
  // A plain one for each claim: of signals made by `AbortSignal.any` of others so made, Node 24.21 keeps 300 bytes for good.
  const limits = new Set<AbortController>();
  let isOver = false;

  function giveUp(): void {
    isOver = true;
    for (const limit of limits) limit.abort();
  }

  /** Those too that come meanwhile, by connections that are open. */
  async function untilNone(): Promise<void> {
    while (claims.size > 0) await Promise.allSettled(claims);
  }

  return {
    async hold(claim) {
      claims.add(claim);
      try {
        await claim;
      } finally {
        claims.delete(claim);
      }
    },
    async limit(ms, work) {
      const limit = new AbortController();
      const timer = setTimeout(() => limit.abort(), isOver ? 0 : ms);
      limits.add(limit);
      try {
        return await work(limit.signal);
      } finally {
        clearTimeout(timer);
        limits.delete(limit);
      }
    },
    async end() {
      await within(waitMs, untilNone()).catch(giveUp);
      await within(GIVE_UP_MS, untilNone()).catch(() => undefined);
    },
  };
}
