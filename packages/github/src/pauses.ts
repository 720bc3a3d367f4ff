import { type Answer, rateLimited, rateLimitWaitMs, untilResetMs } from "./errors.ts";

/** An hour: a token's life. */
const FORGET_MS = 3_600_000;

/** The pause that GitHub has asked of one set of credentials. */
export interface Pause {
  /** Throws `RateLimitedError` with what is left of it. */
  check(): void;
  /** Reads the rate limit off an answer; throws `RateLimitedError` when the answer is a refusal. */
  heed(answer: Answer): void;
}

/**
 * GitHub counts each installation of an App for itself: one busy organization must not stop the others. A personal
 * token has one count for everything.
 */
export function createPauses(now: () => number): { of(authorization: string): Pause } {
  const states = new Map<string, { until: number; refusals: number }>();

  /** Tokens come and go each hour: what is over is forgotten. */
  function keep(key: string, state: { until: number; refusals: number }): void {
    for (const [other, { until }] of states) if (until < now() - FORGET_MS) states.delete(other);
    states.set(key, state);
  }

  return {
    of(authorization) {
      // Every JWT of an App is new, and all are of one kind.
      const key = /^bearer /i.test(authorization) ? "app" : authorization;
      return {
        check() {
          const leftMs = (states.get(key)?.until ?? 0) - now();
          if (leftMs > 0) throw rateLimited(leftMs);
        },
        heed(answer) {
          const before = states.get(key) ?? { until: 0, refusals: 0 };
          const waitMs = rateLimitWaitMs(answer, now(), before.refusals);
          // After the last request that is allowed, the next one would be refused.
          const pauseMs = waitMs ?? untilResetMs(answer.headers, now()) ?? 0;
          const refusals = waitMs === undefined ? 0 : before.refusals + 1;
          keep(key, { until: Math.max(before.until, now() + pauseMs), refusals });
          if (waitMs !== undefined) throw rateLimited(waitMs);
        },
      };
    },
  };
}
