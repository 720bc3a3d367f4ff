import type { Credentials } from "./credentials.ts";
import type { RestCall, RestOutcome } from "./rest.ts";
import { rateLimitAnswer } from "./script.ts";

/** What GitHub lets one installation or token do: a read costs one point, a write five. */
export interface PointLimits {
  readonly points: number;
  readonly windowMs: number;
  readonly concurrent: number;
}

export interface PointCounter {
  /** Seconds to wait when it is too much; undefined when it may go on. Call what is given when the request is over. */
  enter(
    credential: string,
    method: string,
  ): { readonly leave: () => void } | { readonly retryAfterS: number };
  /** Requests that were refused. */
  refused(): number;
}

/** GitHub's secondary limits, counted strictly: no more points within any window, and no more requests at a time. */
export function createPointCounter(limits: PointLimits, now: () => number): PointCounter {
  const spent = new Map<string, { at: number; cost: number }[]>();
  const underWay = new Map<string, number>();
  let refused = 0;
  return {
    refused: () => refused,
    enter(credential, method) {
      const recent = (spent.get(credential) ?? []).filter(({ at }) => at > now() - limits.windowMs);
      const cost = ["GET", "HEAD", "OPTIONS"].includes(method) ? 1 : 5;
      const used = recent.reduce((sum, one) => sum + one.cost, 0);
      const parallel = underWay.get(credential) ?? 0;
      if (used + cost > limits.points || parallel >= limits.concurrent) {
        refused += 1;
        spent.set(credential, recent);
        return { retryAfterS: Math.ceil(limits.windowMs / 1_000) };
      }
      recent.push({ at: now(), cost });
      spent.set(credential, recent);
      underWay.set(credential, parallel + 1);
      return { leave: () => void underWay.set(credential, (underWay.get(credential) ?? 1) - 1) };
    },
  };
}

type Rest = (call: RestCall) => Promise<RestOutcome>;

/** The same, refused where the count says so; GitHub counts the App itself apart from its installation, or a token. */
export function limitRest(
  rest: Rest,
  { counter, kindOf, now }: { counter: PointCounter; kindOf: Credentials["kindOf"]; now: () => number },
): Rest {
  return async (call) => {
    const entry = counter.enter(kindOf(call.headers.authorization) ?? "nobody", call.method);
    if ("leave" in entry) return rest(call).finally(entry.leave);
    const { status = 403, headers = {}, body = {} } = rateLimitAnswer("secondary", entry.retryAfterS, now());
    return { operationId: "", answer: { status, headers, body }, isLost: false };
  };
}
