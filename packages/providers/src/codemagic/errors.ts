import {
  InvalidSpecError,
  NoCapacityError,
  type ProvisionError,
  RateLimitedError,
  TransientError,
  UnauthorizedError,
} from "@grp/core";

/** CodeMagic says how long with `ratelimit-reset` (seconds left); without any word, a minute. */
const DEFAULT_RETRY_AFTER_MS = 60_000;

/** What CodeMagic answered to a call that it did not carry out. */
export interface Refusal {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, unknown>>;
  /** CodeMagic's own words, secrets taken out. */
  readonly detail: string;
}

/** Sorts an answer that is no success by its status; the texts of v1's errors are documented nowhere. */
export function sortRefusal(
  refusal: Refusal,
  doing: string,
  { nowMs, isShared }: { readonly nowMs: number; readonly isShared: boolean },
): ProvisionError {
  const { status, detail } = refusal;
  const message = `${doing}: CodeMagic answered ${status}${detail && `: ${detail}`}`;
  const details = { code: String(status) };
  if (status === 401 || status === 403) return new UnauthorizedError(message, details);
  // Out of build minutes, or a machine type that needs billing: another offering may serve.
  if (status === 402) return new NoCapacityError(message, details);
  if (status === 429)
    return new RateLimitedError(message, {
      ...details,
      retryAfterMs: retryAfterMs(refusal.headers, nowMs),
      isShared,
    });
  if (status === 408 || status === 425 || status >= 500 || status < 400)
    return new TransientError(message, details);
  return new InvalidSpecError(message, details);
}

/**
 * Sorts what axios threw: no answer came. The original error is left behind on purpose: its `config` holds the token
 * and the ticket, and whoever logs a `cause` would print them.
 */
export function sortFailure(error: unknown, doing: string, signal: AbortSignal): TransientError {
  if (signal.aborted) return new TransientError(`${doing}: aborted`, { code: "aborted" });
  const code = (error as { code?: unknown } | null)?.code;
  const name = typeof code === "string" ? code : "no-answer";
  return new TransientError(`${doing}: no answer from CodeMagic (${name})`, { code: name });
}

function retryAfterMs(headers: Refusal["headers"], nowMs: number): number {
  for (const name of ["retry-after", "ratelimit-reset"]) {
    const seconds = numberOf(headers[name]);
    if (seconds !== undefined) return Math.max(1_000, Math.ceil(seconds * 1_000));
    const date = name === "retry-after" ? Date.parse(String(headers[name] ?? "")) : Number.NaN;
    if (!Number.isNaN(date)) return Math.max(1_000, date - nowMs);
  }
  return DEFAULT_RETRY_AFTER_MS;
}

/** A header's number; undefined for anything else. */
export function numberOf(value: unknown): number | undefined {
  const text = String(value ?? "");
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
}
