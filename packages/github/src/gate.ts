import { ProvisionError, TransientError } from "@grp/core";
import { createEntrance, type EntranceOptions, type Passport } from "./entrance.ts";
import { rateLimited, redact } from "./errors.ts";
import { createPauses } from "./pauses.ts";

/** Long enough for GitHub's slow minutes, short enough that a machine that waits for its claim may try again. */
const REQUEST_TIMEOUT_MS = 10_000;

export type Fetch = typeof globalThis.fetch;

export interface GateOptions extends EntranceOptions {
  readonly fetch: Fetch;
  readonly now: () => number;
}

/**
 * A `fetch` for every request of one client, token requests included: 10 s for the whole answer; none leaves before
 * GitHub's limits for these credentials allow it, by the budget, or before a pause is over that GitHub asked for.
 * Failures are core's errors. Nothing is tried twice.
 */
export type Gate = (passport: Passport) => Fetch;

export function createGate(options: GateOptions): Gate {
  const { fetch, now } = options;
  const pauses = createPauses(now);
  const entrance = createEntrance(options);
  const refuse = (waitMs: number) => rateLimited(waitMs, { isShared: options.budget !== undefined });

  async function request(passport: Passport, input: Parameters<Fetch>[0], init: SignalledInit) {
    const pause = pauses.of(passport.credential);
    if (pause.leftMs() > 0) throw refuse(pause.leftMs());
    const leave = await entrance.enter(passport, init.method ?? "GET", init.signal);
    try {
      const response = await fetch(input, init);
      // Read here, so that a body that never ends counts as a time-out and not as an empty answer.
      const body = await response.text();
      const waitMs = pause.heed({ status: response.status, headers: response.headers, body });
      if (waitMs !== undefined) {
        await entrance.slowDown(passport, waitMs);
        throw refuse(waitMs);
      }
      const copy = new Response(body || null, { status: response.status, headers: response.headers });
      // A made Response has no address, and octokit's pagination reads it.
      return Object.defineProperty(copy, "url", { value: response.url || String(input) });
    } finally {
      leave();
    }
  }

  return (passport) =>
    async (input, init = {}) => {
      const timeout = new AbortController();
      const timer = setTimeout(() => timeout.abort(), REQUEST_TIMEOUT_MS + (options.holdMs ?? 0));
      const signal = init.signal ? AbortSignal.any([timeout.signal, init.signal]) : timeout.signal;
      try {
        return await request(passport, input, { ...init, signal });
      } catch (error) {
        throw toNetworkError(error, {
          isAborted: init.signal?.aborted === true,
          isLate: timeout.signal.aborted,
        });
      } finally {
        clearTimeout(timer);
      }
    };
}

type SignalledInit = RequestInit & { readonly signal: AbortSignal };

function toNetworkError(error: unknown, end: { isAborted: boolean; isLate: boolean }): ProvisionError {
  if (error instanceof ProvisionError) return error;
  if (end.isAborted) return new TransientError("The request to GitHub was given up", { code: "aborted" });
  if (end.isLate)
    return new TransientError(`GitHub did not answer in ${REQUEST_TIMEOUT_MS / 1_000} s`, {
      code: "timeout",
    });
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "network";
  const text = cause instanceof Error ? cause.message : String(cause);
  return new TransientError(redact(`GitHub could not be reached: ${text || code}`), { code });
}
