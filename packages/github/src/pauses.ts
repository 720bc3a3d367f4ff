import { type Answer, rateLimitWaitMs, untilResetMs } from "./errors.ts";

/** The pause that GitHub has asked of one set of credentials. */
export interface Pause {
  /** What is left of it; not above 0 when there is none. */
  leftMs(): number;
  /**
   * A request leaves. What this gives reads the rate limit off its answer: how long to wait, when that is a refusal.
   * Refusals are in a row when each request left after the one before was refused: those under way together are one.
   */
  depart(): (answer: Answer) => number | undefined;
}

/**
 * GitHub counts each installation of an App for itself: one busy organization must not stop the others. A personal
 * token has one count for everything.
 */
export function createPauses(now: () => number): { of(credential: string): Pause } {
  const states = new Map<string, { until: number; refusals: number }>();
  const stateOf = (key: string) => states.get(key) ?? { until: 0, refusals: 0 };

  return {
    of(key) {
      return {
        leftMs: () => stateOf(key).until - now(),
        depart() {
          const { refusals: known } = stateOf(key);
          return (answer) => {
            const { until, refusals } = stateOf(key);
            const waitMs = rateLimitWaitMs(answer, now(), known);
            // After the last request that is allowed, the next one would be refused.
            const pauseMs = waitMs ?? untilResetMs(answer.headers, now()) ?? 0;
            states.set(key, {
              until: Math.max(until, now() + pauseMs),
              refusals: waitMs === undefined ? endRow(refusals, known) : Math.max(refusals, known + 1),
            });
            return waitMs;
          };
        },
      };
    },
  };
}

/** That a request was granted which left before the last refusal says nothing of the time after that. */
function endRow(refusals: number, known: number): number {
  return refusals === known ? 0 : refusals;
}
