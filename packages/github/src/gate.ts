import { ProvisionError, TransientError } from "@grp/core";
import { redact } from "./errors.ts";
import { createPauses } from "./pauses.ts";

/** Long enough for GitHub's slow minutes, short enough that a machine that waits for its claim may try again. */
const REQUEST_TIMEOUT_MS = 10_000;

export type Fetch = typeof globalThis.fetch;

export interface GateOptions {
  readonly fetch: Fetch;
  readonly now: () => number;
}

/**
 * A `fetch` that every request of one client passes, token requests included: 10 s for the whole answer, and once
 * GitHub asks for a pause no request with those credentials leaves before it is over. Failures are core's errors.
 * Nothing is tried twice.
 */
export function createGate({ fetch, now }: GateOptions): Fetch {
  const pauses = createPauses(now);
  return async (input, init = {}) => {
    const pause = pauses.of(new Headers(init.headers).get("authorization") ?? "");
    pause.check();
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), REQUEST_TIMEOUT_MS);
    const signal = init.signal ? AbortSignal.any([timeout.signal, init.signal]) : timeout.signal;
    try {
      const response = await fetch(input, { ...init, signal });
      // Read here, so that a body that never ends counts as a time-out and not as an empty answer.
      const body = await response.text();
      pause.heed({ status: response.status, headers: response.headers, body });
      const copy = new Response(body || null, { status: response.status, headers: response.headers });
      // A made Response has no address, and octokit's pagination reads it.
      return Object.defineProperty(copy, "url", { value: response.url || String(input) });
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
