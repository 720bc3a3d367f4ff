import { setTimeout as sleep } from "node:timers/promises";
import {
  type Budget,
  type Spending,
  type SpendVerdict,
  type Told,
  TransientError,
  type Turn,
  UNLIMITED,
} from "@grp/core";
import { rateLimited } from "./errors.ts";
import {
  costOf,
  GITHUB_LIMITS,
  type GitHubLimits,
  limitsOf,
  type Passport,
  registrationsOf,
} from "./limits.ts";
import type { Limited } from "./registration-refusals.ts";

/**
 * What is no claim leaves two fifths to claims, and all but a twentieth while claims wait. What can wait for GitHub's next
 * hour leaves them a quarter of it too; the end of a machine can't, for a machine costs money.
 */
const BACKGROUNDS = {
  work: { share: 0.6, shareInLine: 0.05, leaves: 0 },
  mending: { share: 0.6, shareInLine: 0.05 },
};

export interface EntranceOptions {
  /** What GitHub allows, shared with all processes; without, only GitHub's own refusals hold a request back. */
  readonly budget?: Budget;
  readonly limits?: GitHubLimits;
  /** Goes after the claims of other processes; what looks for things to mend waits for the next hour, should it come to that. */
  readonly background?: "work" | "mending";
  /** A request waits here for so long; one that must wait longer is refused, and told how long. */
  readonly holdMs?: number;
}

/** One request that wants to leave. */
export interface Departure {
  readonly method: string;
  /** Its place among those that wait. */
  readonly turn?: Turn | undefined;
  /** It registers a runner there: at `owner`, or `owner/repository`. */
  readonly registersAt?: string | undefined;
  readonly signal: AbortSignal;
}

export interface Entry {
  /** Whose leave it is, by the index of its passport. */
  readonly way: number;
  /** The request is over; `told`: what GitHub said is left of the hour. */
  leave(told: Told | undefined): void;
}

export interface Entrance {
  /** Waits for leave by any of the passports, if it is not long. */
  enter(passports: readonly Passport[], departure: Departure): Promise<Entry>;
  /** GitHub refused all the same. */
  slowDown(limited: Limited, pauseMs: number): Promise<void>;
}

/** The budget's side of the gate. */
export function createEntrance(options: EntranceOptions): Entrance {
  const { budget = UNLIMITED, limits = GITHUB_LIMITS, holdMs = 0 } = options;
  const background = options.background ? { background: BACKGROUNDS[options.background] } : {};
  return {
    async enter(passports, { method, turn, registersAt, signal }) {
      const registrations = registersAt ? [{ limit: registrationsOf(registersAt, limits), cost: 1 }] : [];
      const ways = passports.map((passport) => {
        const { points, parallel } = limitsOf(passport, limits);
        return [{ limit: parallel, cost: 1 }, ...registrations, { limit: points, cost: costOf(method) }];
      });
      const spending = { ways, ...(turn && { turn }), ...background };
      const { way, lease } = await waitForLeave(budget, spending, { holdMs, signal });
      return {
        way,
        leave(told) {
          const spent = { charges: ways[way] ?? [], ...background, ...(told && { told }) };
          budget.giveBack(lease, spent).catch(() => undefined);
        },
      };
    },
    async slowDown(limited, pauseMs) {
      const limit =
        "place" in limited
          ? registrationsOf(limited.place, limits)
          : limitsOf(limited.passport, limits).points;
      await budget.slowDown([limit], pauseMs).catch(() => undefined);
    },
  };
}

async function waitForLeave(
  budget: Budget,
  spending: Spending,
  { holdMs, signal }: { readonly holdMs: number; readonly signal: AbortSignal },
): Promise<SpendVerdict & { granted: true }> {
  const until = performance.now() + holdMs;
  for (;;) {
    const verdict = await budget.spend(spending).catch(toBudgetError);
    if (verdict.granted) return verdict;
    const { waitMs } = verdict;
    if (performance.now() + waitMs > until) throw rateLimited(waitMs, { code: "in_line", isShared: true });
    await sleep(waitMs, undefined, { signal });
  }
}

function toBudgetError(cause: unknown): never {
  throw new TransientError("What GitHub allows could not be asked of Redis", { code: "budget", cause });
}
