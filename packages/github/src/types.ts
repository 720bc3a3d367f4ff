import type { Scope, Turn } from "@grp/core";

export interface Registration {
  readonly runnerId: number;
  /** A secret: handed to the machine, never stored or logged. */
  readonly encodedJitConfig: string;
}

export interface GitHubRunner {
  readonly runnerId: number;
  readonly name: string;
  readonly status: "online" | "offline";
  readonly busy: boolean;
  readonly labels: readonly string[];
  /** Of the runner program it really runs, whoever chose it; absent before it has connected. */
  readonly version?: string;
}

/** What a server gives out and asks for. */
export interface RunnerVersions {
  readonly newest: string;
  /** With an older one no runner can register. Absent on GitHub Enterprise Server, which has no such limit. */
  readonly least?: string;
}

/** Where to fetch GitHub's runner program, and how to know it is the right one. */
export interface RunnerProgram {
  readonly url: string;
  readonly sha256: string;
  readonly filename: string;
  readonly version: string;
}

export interface GitHubWorkflowJob {
  readonly id: number;
  readonly runId: number;
  readonly runAttempt: number;
  readonly status: string;
  readonly conclusion: string | null;
  readonly labels: readonly string[];
  readonly runnerName: string | null;
  readonly createdAt: number;
  /** Of its repository; absent where GitHub's answer did not say. */
  readonly isPrivate?: boolean;
}

export interface HookDelivery {
  /** GitHub's number as text: it may be beyond 2^53. */
  readonly id: string;
  readonly guid: string;
  readonly deliveredAt: number;
  readonly isRedelivery: boolean;
  readonly status: string;
  readonly statusCode: number;
  readonly event: string;
  readonly action: string | null;
}

/** One page of a hook's failed deliveries. */
export interface FailedDeliveries {
  /** Newest first; of the failures as each was: a redelivery that failed is one of its own. */
  readonly failed: readonly HookDelivery[];
  /** By GitHub's clock, when it said so; where it does not tell the time, that of its newest delivery. */
  readonly at?: number;
  /** The page's end: what is older is on the next ones. */
  readonly downTo?: number;
  /** Of the next page; absent when nothing that is wanted may be there. */
  readonly cursor?: string;
}

/** What may have hooks of ours: an App has one, an organization or a repository any number. */
export type HookPlace =
  | { readonly kind: "app"; readonly appId: string }
  | { readonly kind: "repository"; readonly owner: string; readonly repository: string }
  | { readonly kind: "organization"; readonly owner: string };

/** Where deliveries are listed and sent again: an App's own hook (JWT), or a repository's or organization's (PAT). */
export type HookTarget =
  | { readonly kind: "app"; readonly appId: string }
  | {
      readonly kind: "repository";
      readonly owner: string;
      readonly repository: string;
      readonly hookId: number;
    }
  | { readonly kind: "organization"; readonly owner: string; readonly hookId: number };

/**
 * GitHub as grp needs it. Errors are core's error classes: `RateLimitedError` (primary and secondary, with the wait that
 * GitHub asked for), `UnauthorizedError`, `InvalidSpecError`, `TransientError`; no error carries a token. Nothing
 * retries inside, and once told to slow down no request leaves before the wait is over. 10 s per request, 20 s to register.
 */
export interface GitHub {
  /**
   * Mints a JIT registration. A name already there is our own earlier call whose answer was lost: that runner is
   * deleted, if it is not busy, and the call made again. With a `turn`, it waits in line for GitHub's points. Once the
   * `signal` is over no further request is made, and the name is nobody's to clear; a registration that is asked for
   * already is awaited all the same.
   */
  mintRegistration(
    order: { scope: Scope; name: string; labels: readonly string[]; turn?: Turn },
    signal: AbortSignal,
  ): Promise<Registration>;
  findRunner(scope: Scope, name: string, signal: AbortSignal): Promise<GitHubRunner | null>;
  /** All pages. */
  listRunners(scope: Scope, signal: AbortSignal): Promise<readonly GitHubRunner[]>;
  /** `busy`: GitHub refused because it runs a job. */
  deregister(scope: Scope, runnerId: number, signal: AbortSignal): Promise<"deregistered" | "gone" | "busy">;
  /** From the downloads endpoint, cached for an hour. */
  runnerProgram(
    scope: Scope,
    platform: { os: "linux" | "macos"; arch: "arm64" | "x64" },
    signal: AbortSignal,
  ): Promise<RunnerProgram>;
  /** From the same list, and as often. */
  runnerVersions(scope: Scope, signal: AbortSignal): Promise<RunnerVersions>;
  /** Proves that a registration would be allowed, and makes none. Of several Apps: why some may not, when one may. */
  checkRegistration(scope: Scope, signal: AbortSignal): Promise<readonly string[]>;
  /** With a `turn`, it waits in line behind the registrations that come before it. */
  getWorkflowJob(
    job: { owner: string; repository: string; workflowJobId: number; turn?: Turn },
    signal: AbortSignal,
  ): Promise<GitHubWorkflowJob | null>;
  /**
   * Every job still queued of the repository's queued and running runs, and the `calls` that it took: one for each
   * hundred runs of either kind (ten pages of each at the most), and one or more for each run looked into. With
   * `mostCalls` it looks into the queued ones and some others by chance, at least one.
   */
  listQueuedWorkflowJobs(
    repository: { owner: string; repository: string; mostCalls?: number },
    signal: AbortSignal,
  ): Promise<{ readonly jobs: readonly GitHubWorkflowJob[]; readonly calls: number }>;
  /** The Apps that we are; none where we have a token. */
  readonly appIds: readonly string[];
  /** The place's hooks that point at `url`. An App is asked as itself; none where a token may see none. */
  findHooks(place: HookPlace, url: string, signal: AbortSignal): Promise<readonly HookTarget[]>;
  /**
   * The account's repositories that our credentials reach and that may run workflows (not archived). Of several Apps:
   * what those say who may, and in `missed` why another could not be asked; it rejects when none could.
   */
  listRepositories(
    owner: string,
    signal: AbortSignal,
  ): Promise<{
    readonly repositories: readonly { owner: string; repository: string }[];
    readonly missed: readonly Error[];
  }>;
  /** One page of those not answered with 2xx or 3xx, back to `sinceMs`; from the newest, or from where a page ended. */
  listFailedDeliveries(
    target: HookTarget,
    from: { readonly sinceMs: number; readonly cursor?: string },
    signal: AbortSignal,
  ): Promise<FailedDeliveries>;
  redeliver(target: HookTarget, deliveryId: string, signal: AbortSignal): Promise<void>;
}
