import { RateLimitedError, type Shortage } from "@grp/core";

/** Asks again after so long at the latest, for those ahead may have gone without what they waited for. */
const LONGEST_ASIDE_MS = 60_000;

interface Place {
  /** Since when it waits, all in all. */
  readonly since: number;
  /** Those of its own line who go first. */
  readonly ahead: number;
  /** Until the first of them may go. */
  readonly waitMs: number;
}

/**
 * Those who gave their work back until there is more of what is short. Each is told to come back when those older than
 * it have had their turns, so that about as many come as can go.
 */
export function createAside(now: () => number) {
  const aside = new Map<string, readonly { readonly since: number; readonly backAt: number }[]>();
  return {
    lay({ name, everyMs, machines }: Shortage, { since, ahead, waitMs }: Place): RateLimitedError {
      const at = now();
      const away = (aside.get(name) ?? []).filter(({ backAt }) => backAt > at);
      const older = away.filter((one) => one.since < since).length;
      const first = ahead + older;
      const retryAfterMs = Math.min(waitMs + Math.floor(first / machines) * everyMs, LONGEST_ASIDE_MS);
      aside.set(name, [...away, { since, backAt: at + retryAfterMs }]);
      const text = `no leave to launch yet (${name}): ${first} go first`;
      return new RateLimitedError(text, { code: "budget", retryAfterMs, isShared: true });
    },
  };
}
