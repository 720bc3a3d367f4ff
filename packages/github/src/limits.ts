import type { Catalog, ParallelLimit, WindowLimit } from "@grp/core";

export type GitHubLimits = Catalog["limits"]["github"];

/** As GitHub publishes them. https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api */
export const GITHUB_LIMITS: GitHubLimits = { points: 900, window: 60_000, concurrent: 100 };

/** Longer than any request. */
const LEASE_MS = 15_000;

/** What the holder of these credentials may do. */
export function limitsOf(
  credential: string,
  limits: GitHubLimits,
): { readonly points: WindowLimit; readonly parallel: ParallelLimit } {
  const name = `github:${credential}`;
  return {
    points: { kind: "window", name, most: limits.points, windowMs: limits.window },
    parallel: { kind: "parallel", name, most: limits.concurrent, leaseMs: LEASE_MS },
  };
}

/** In points: a write costs five. */
export function costOf(method: string): number {
  return ["GET", "HEAD", "OPTIONS"].includes(method.toUpperCase()) ? 1 : 5;
}
