import { setTimeout as sleep } from "node:timers/promises";
import { type Budget, type Spending, TransientError, type Turn, UNLIMITED } from "@grp/core";
import { rateLimited } from "./errors.ts";
import { costOf, GITHUB_LIMITS, type GitHubLimits, limitsOf } from "./limits.ts";

/** What is no claim leaves two fifths to claims, and all but a twentieth while claims wait. */
const BACKGROUND = { share: 0.6, shareInLine: 0.05 };

export interface EntranceOptions {
  /** What GitHub allows, shared with all processes; without, only GitHub's own refusals hold a request back. */
  readonly budget?: Budget;
  readonly limits?: GitHubLimits;
  /** Goes after the claims of other processes. */
  readonly isBackground?: boolean;
  /** A request waits here for so long; one that must wait longer is refused, and told how long. */
  readonly holdMs?: number;
}

/** Whose count a request goes to, and its turn among those that wait. */
export interface Passport {
  /** One installation of an App, the App itself, or a token: a name, never the secret. */
  readonly credential: string;
  readonly turn?: Turn | undefined;
}

export interface Entrance {
  /** Waits for leave, if it is not long. What it gives is to be called when the request is over. */
  enter(passport: Passport, method: string, signal: AbortSignal): Promise<() => void>;
  /** GitHub refused all the same. */
  slowDown(passport: Passport, pauseMs: number): Promise<void>;
}

/** The budget's side of the gate. */
export function createEntrance(options: EntranceOptions): Entrance {
  const { budget = UNLIMITED, limits = GITHUB_LIMITS, holdMs = 0, isBackground = false } = options;
  return {
    async enter({ credential, turn }, method, signal) {
      const { points, parallel } = limitsOf(credential, limits);
      const charges = [
        { limit: parallel, cost: 1 },
        { limit: points, cost: costOf(method) },
      ];
      const spending = {
        charges,
        ...(turn && { turn }),
        ...(isBackground && { background: BACKGROUND }),
      };
      const lease = await waitForLeave(budget, spending, { holdMs, signal });
      return () => void budget.giveBack(lease, spending).catch(() => undefined);
    },
    async slowDown({ credential }, pauseMs) {
      await budget.slowDown([limitsOf(credential, limits).points], pauseMs).catch(() => undefined);
    },
  };
}

async function waitForLeave(
  budget: Budget,
  spending: Spending,
  { holdMs, signal }: { readonly holdMs: number; readonly signal: AbortSignal },
): Promise<string> {
  for (let leftMs = holdMs; ; ) {
    const verdict = await budget.spend(spending).catch(toBudgetError);
    if (verdict.granted) return verdict.lease;
    const { waitMs } = verdict;
    if (waitMs > leftMs) throw rateLimited(waitMs, { code: "in_line", isShared: true });
    leftMs -= waitMs;
    await sleep(waitMs, undefined, { signal });
  }
}

function toBudgetError(cause: unknown): never {
  throw new TransientError("What GitHub allows could not be asked of Redis", { code: "budget", cause });
}
