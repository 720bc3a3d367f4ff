import type { Catalog, ParallelLimit, WindowLimit } from "@grp/core";

export type GitHubLimits = Catalog["limits"]["github"];

/** As GitHub publishes them. https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api */
export const GITHUB_LIMITS: GitHubLimits = {
  points: 900,
  window: 60_000,
  concurrent: 100,
  registrations: { most: 1_500, window: 300_000 },
};

/** Longer than any request. */
const LEASE_MS = 25_000;

/** Whose count a request goes to, and the line of those who wait for it or for another that would do as well. */
export interface Passport {
  /** One installation of an App, the App itself, or a token: a name, never the secret. */
  readonly credential: string;
  readonly line?: string;
}

/** What the holder of these credentials may do. */
export function limitsOf(
  { credential, line }: Passport,
  limits: GitHubLimits,
): { readonly points: WindowLimit; readonly parallel: ParallelLimit } {
  const name = `github:${credential}`;
  const inLine = line === undefined ? {} : { line: `github:${line}` };
  return {
    points: { kind: "window", name, most: limits.points, windowMs: limits.window, ...inLine },
    parallel: { kind: "parallel", name, most: limits.concurrent, leaseMs: LEASE_MS },
  };
}

/** What one repository or organization takes in new runners, whoever registers them. */
export function registrationsOf(place: string, limits: GitHubLimits): WindowLimit {
  const { most, window: windowMs } = limits.registrations;
  return { kind: "window", name: `github:registrations:${place}`, most, windowMs, isUntold: true };
}

/** In points: a write costs five. */
export function costOf(method: string): number {
  return ["GET", "HEAD", "OPTIONS"].includes(method.toUpperCase()) ? 1 : 5;
}
