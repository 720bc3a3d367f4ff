import {
  type ErrorClass,
  InvalidSpecError,
  ProvisionError,
  RateLimitedError,
  TransientError,
  UnauthorizedError,
} from "@grp/core";

/** GitHub's statuses, sorted. What is not here: 5xx is transient, any other 4xx is a wrong request. Rate limits come first. */
const STATUS_CLASSES: Readonly<Record<number, Exclude<ErrorClass, "no-capacity" | "rate-limited">>> = {
  400: "invalid-spec",
  401: "unauthorized",
  403: "unauthorized",
  /** GitHub hides what these credentials may not see behind the same status. */
  404: "invalid-spec",
  408: "transient",
  /** A conflict with our own earlier call, or with GitHub's own copies of the truth. */
  409: "transient",
  410: "invalid-spec",
  422: "invalid-spec",
  423: "transient",
  451: "unauthorized",
};

const SHORTEST_WAIT_MS = 60_000;
const LONGEST_WAIT_MS = 15 * 60_000;

/** One answer of GitHub, as far as it matters here. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The body as text; only looked at in refusals. */
  readonly body: string;
}

/**
 * How long GitHub wants no further request, or undefined when this is no rate limit: `retry-after`, else until
 * `x-ratelimit-reset` when nothing remains, else a minute that doubles with each refusal in a row.
 * https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
 */
export function rateLimitWaitMs(answer: Answer, nowMs: number, refusalsBefore: number): number | undefined {
  if (answer.status !== 403 && answer.status !== 429) return undefined;
  const asked = retryAfterMs(answer.headers, nowMs) ?? untilResetMs(answer.headers, nowMs);
  if (asked !== undefined) return asked;
  if (answer.status === 403 && !isSecondaryLimit(answer.body)) return undefined;
  return Math.min(SHORTEST_WAIT_MS * 2 ** refusalsBefore, LONGEST_WAIT_MS);
}

/** Time until the primary limit is filled again, if nothing is left of it. */
export function untilResetMs(headers: Headers, nowMs: number): number | undefined {
  const reset = Number(headers.get("x-ratelimit-reset"));
  if (headers.get("x-ratelimit-remaining") !== "0" || !reset) return undefined;
  return Math.max(reset * 1_000 - nowMs, 1_000);
}

function retryAfterMs(headers: Headers, nowMs: number): number | undefined {
  const value = headers.get("retry-after");
  if (!value) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.max(ms, 1_000);
}

// The one refusal that GitHub marks by words only; `documentation_url` is the steadier of the two places.
function isSecondaryLimit(body: string): boolean {
  return /rate-limits|secondary rate limit|abuse detection/i.test(body);
}

/** What octokit threw, as one of core's errors. Neither it nor its cause carries a token, a header or a body. */
export function toGitHubError(error: unknown): Error {
  if (error instanceof ProvisionError) return error;
  if (!(error instanceof Error)) return new TransientError("GitHub: unknown failure");
  if (error.cause instanceof ProvisionError) return error.cause;
  if (!isHttpError(error)) return error;
  const { method, url } = error.request;
  const text = redact(`GitHub answered ${error.status} to ${method} ${pathOf(url)}: ${error.message}`);
  return errorFor(error.status, text);
}

function errorFor(status: number, text: string): ProvisionError {
  const details = { code: String(status) };
  switch (STATUS_CLASSES[status] ?? (status >= 500 ? "transient" : "invalid-spec")) {
    case "unauthorized":
      return new UnauthorizedError(text, details);
    case "invalid-spec":
      return new InvalidSpecError(text, details);
    default:
      return new TransientError(text, details);
  }
}

/** Whether this is GitHub's own answer with that status (rate limits have a class of their own). */
export function hasStatus(error: unknown, status: number): boolean {
  return error instanceof ProvisionError && error.code === String(status);
}

/** `in_line`: GitHub was not asked, for others are to be served first. */
export function rateLimited(
  waitMs: number,
  more: { readonly code?: "in_line" | "rate_limited"; readonly isShared?: boolean } = {},
): RateLimitedError {
  const { code = "rate_limited" } = more;
  const why = code === "in_line" ? "All that GitHub allows is spent" : "GitHub asks for no request";
  const text = `${why} for ${Math.ceil(waitMs / 1_000)} s`;
  return new RateLimitedError(text, { ...more, code, retryAfterMs: waitMs });
}

interface HttpError extends Error {
  readonly status: number;
  readonly request: { readonly method: string; readonly url: string };
}

function isHttpError(error: Error): error is HttpError {
  return "status" in error && typeof error.status === "number" && "request" in error;
}

function pathOf(url: string): string {
  return URL.canParse(url) ? new URL(url).pathname : "?";
}

/** Takes out whatever looks like a token, a JWT or a key; token lengths are not fixed any more, prefixes are. */
export function redact(text: string): string {
  return text
    .replace(/\b(gh[a-z]|github_pat|glpat|v1)_[\w.-]+/g, "$1_[redacted]")
    .replace(/\beyJ[\w-]+\.[\w-]+(\.[\w-]+)?/g, "[redacted]")
    .replace(/-----BEGIN[\s\S]*?(-----END[^-]*-----|$)/g, "[redacted]")
    .replace(/\b(bearer|token) [\w.~+/-]{16,}=*/gi, "$1 [redacted]");
}
