import {
  type Budget,
  type Catalog,
  RateLimitedError,
  type Told,
  TransientError,
  type WindowLimit,
} from "@grp/core";
import { numberOf } from "./errors.ts";

/** Lists take half of the hour, and leave the rest to launches and ends: each is a call or two. */
const BACKGROUND = { share: 0.5, shareInLine: 0.5 };

export type CodemagicLimits = Catalog["limits"]["codemagic"];

/** Headers of an answer, names in lower case. */
type Headers = Readonly<Record<string, unknown>>;

export interface Pace {
  /**
   * Leave for one call, `RateLimitedError` when there is none soon. What it gives is to be called with the answer's
   * headers when the call is over.
   */
  enter(
    api: "v1" | "v3",
    call: { readonly doing: string; readonly isBackground?: boolean | undefined },
  ): Promise<(headers: Headers) => void>;
  /** CodeMagic refused all the same. */
  slowDown(api: "v1" | "v3", pauseMs: number): Promise<void>;
}

/**
 * CodeMagic's 5,000 requests an hour of one user, shared by all processes by way of the budget. They are published for
 * v3; v1 is taken to count as many for itself, until its answers say otherwise.
 */
export function createPace(limits: CodemagicLimits, budget: Budget): Pace {
  const limitOf = (api: string): WindowLimit => ({
    kind: "window",
    name: `codemagic:${api}`,
    most: limits.requests,
    windowMs: limits.window,
  });
  return {
    async enter(api, { doing, isBackground }) {
      const charges = [{ limit: limitOf(api), cost: 1 }];
      const background = isBackground ? { background: BACKGROUND } : {};
      const verdict = await budget.spend({ ways: [charges], ...background }).catch((cause: unknown) => {
        throw new TransientError(`${doing}: what CodeMagic allows could not be asked of Redis`, {
          code: "budget",
          cause,
        });
      });
      if (!verdict.granted)
        throw new RateLimitedError(`${doing}: all that CodeMagic allows is spent`, {
          code: "budget",
          retryAfterMs: verdict.waitMs,
          isShared: true,
        });
      return (headers) => {
        const told = readTold(headers);
        budget
          .giveBack(verdict.lease, { charges, ...background, ...(told && { told }) })
          .catch(() => undefined);
      };
    },
    async slowDown(api, pauseMs) {
      await budget.slowDown([limitOf(api)], pauseMs).catch(() => undefined);
    },
  };
}

function readTold(headers: Headers): Told | undefined {
  const [left, resetIn] = [numberOf(headers["ratelimit-remaining"]), numberOf(headers["ratelimit-reset"])];
  if (left === undefined || resetIn === undefined) return undefined;
  const most = numberOf(headers["ratelimit-limit"]);
  return { left, resetInMs: Math.max(resetIn * 1_000, 1_000), ...(most && { most }) };
}
