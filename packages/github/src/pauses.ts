import { type Answer, rateLimitWaitMs, untilResetMs } from "./errors.ts";

/** The pause that GitHub has asked of one set of credentials. */
export interface Pause {
  /** What is left of it; not above 0 when there is none. */
  leftMs(): number;
  /** Reads the rate limit off an answer; how long to wait, when the answer is a refusal. */
  heed(answer: Answer): number | undefined;
}

/**
 * GitHub counts each installation of an App for itself: one busy organization must not stop the others. A personal
 * token has one count for everything.
 */
export function createPauses(now: () => number): { of(credential: string): Pause } {
  const states = new Map<string, { until: number; refusals: number }>();

  return {
    of(key) {
      return {
        leftMs: () => (states.get(key)?.until ?? 0) - now(),
        heed(answer) {
          const before = states.get(key) ?? { until: 0, refusals: 0 };
          const waitMs = rateLimitWaitMs(answer, now(), before.refusals);
          // After the last request that is allowed, the next one would be refused.
          const pauseMs = waitMs ?? untilResetMs(answer.headers, now()) ?? 0;
          const refusals = waitMs === undefined ? 0 : before.refusals + 1;
          states.set(key, { until: Math.max(before.until, now() + pauseMs), refusals });
          return waitMs;
        },
      };
    },
  };
}
