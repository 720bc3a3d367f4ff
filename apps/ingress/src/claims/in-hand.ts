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
  /** Over when they may take no longer: each gives its lock back, and its machine is told to come back. */
  readonly signal: AbortSignal;
  hold(claim: Promise<void>): Promise<void>;
  /** Resolves once all are answered; 17 s at most. */
  end(): Promise<void>;
}

export function createClaimsInHand({ waitMs = WAIT_MS }: { readonly waitMs?: number } = {}): ClaimsInHand {
  const claims = new Set<Promise<void>>();
  const giveUp = new AbortController();

  /** Those too that come meanwhile, by connections that are open. */
  async function untilNone(): Promise<void> {
    while (claims.size > 0) await Promise.allSettled(claims);
  }

  return {
    signal: giveUp.signal,
    async hold(claim) {
      claims.add(claim);
      try {
        await claim;
      } finally {
        claims.delete(claim);
      }
    },
    async end() {
      await within(waitMs, untilNone()).catch(() => giveUp.abort());
      await within(GIVE_UP_MS, untilNone()).catch(() => undefined);
    },
  };
}
