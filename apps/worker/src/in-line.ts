import { RateLimitedError } from "@grp/core";

/** GitHub was not asked: what our own budget has left goes to others first, such as claims. */
export function isInLine(error: unknown): error is RateLimitedError {
  return error instanceof RateLimitedError && error.code === "in_line";
}
