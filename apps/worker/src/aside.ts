import { RateLimitedError, type Shortage } from "@grp/core";

/** Asks again after so long at the latest, for those ahead may have gone without what they waited for. */
const LONGEST_ASIDE_MS = 60_000;

interface Place {
  /** The lower goes first. */
  readonly order: number;
  /** Those of its own line who go first. */
  readonly ahead: number;
  /** Until the first of them may go. */
  readonly waitMs: number;
}

/**
 * Those who gave their work back until there is more of what is short. Each is told to come back when those before it
 * have had their turns, so that about as many come as can go.
 */
export function createAside(now: () => number) {
  const aside = new Map<string, readonly { readonly order: number; readonly backAt: number }[]>();
  return {
    lay({ name, everyMs, machines }: Shortage, { order, ahead, waitMs }: Place): RateLimitedError {
      const at = now();
      const away = (aside.get(name) ?? []).filter(({ backAt }) => backAt > at);
      const before = away.filter((one) => one.order < order).length;
      const first = ahead + before;
      const retryAfterMs = Math.min(waitMs + Math.floor(first / machines) * everyMs, LONGEST_ASIDE_MS);
      aside.set(name, [...away, { order, backAt: at + retryAfterMs }]);
      const text = `no leave to launch yet (${name}): ${first} go first`;
      return new RateLimitedError(text, { code: "budget", retryAfterMs, isShared: true });
    },
  };
}
