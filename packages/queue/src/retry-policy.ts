import { type Demand, demandJobId, NoCapacityError, ProvisionError, RateLimitedError } from "@grp/core";
import { DelayedError, type JobsOptions, RateLimitError, UnrecoverableError, WaitingError } from "bullmq";

/**
 * The only file that knows BullMQ's words for "again", "later" and "never". BullMQ itself never gives a job up: the
 * decision is made here, inside the processor, so that `onDead` is told before the job is marked failed and nothing
 * is lost when the worker dies between the two.
 */
export type Verdict =
  /** Tell `onDead`, then fail it for good. */
  | { readonly kind: "dead"; readonly error: Error }
  | { readonly kind: "retry"; readonly delayMs: number }
  /** It alone is laid aside; no attempt is used. */
  | { readonly kind: "aside"; readonly delayMs: number }
  /** The whole queue pauses; no attempt is used. */
  | { readonly kind: "hold"; readonly pauseMs: number };

export interface RetryPolicy {
  /** Total tries of a launch before it is a dead letter. */
  readonly provisionAttempts: number;
  /** A machine that can't be ended costs money: tried longer, about four hours. */
  readonly terminateAttempts: number;
  /** An error that none of the classes names is a bug: it earns fewer tries. */
  readonly unknownAttempts: number;
  readonly transientBaseMs: number;
  readonly transientCapMs: number;
  readonly noCapacityBaseMs: number;
  readonly noCapacityCapMs: number;
  /** While a workflow job is younger than that, its wait for a dedicated host uses no attempt. */
  readonly hostWaitMs: number;
  readonly hostBaseMs: number;
  readonly hostCapMs: number;
  /** Times a worker may die over one job before the job itself is held to be the cause. */
  readonly stalls: number;
}

/**
 * Transient: 2 s, 4 s, … 2 min: ten tries span about ten minutes, longer than a provider's usual bad spell. No
 * capacity: 30 s … 10 min: ten tries span an hour, well inside the day that GitHub keeps a job queued. A host that is scrubbed is back
 * after hours: it is asked for each 5 min … 30 min for most of that day, and then as other room is.
 */
export const RETRY_POLICY: RetryPolicy = {
  provisionAttempts: 10,
  terminateAttempts: 120,
  unknownAttempts: 5,
  transientBaseMs: 2_000,
  transientCapMs: 120_000,
  noCapacityBaseMs: 30_000,
  noCapacityCapMs: 600_000,
  hostWaitMs: 20 * 3_600_000,
  hostBaseMs: 300_000,
  hostCapMs: 1_800_000,
  stalls: 5,
};

/**
 * A lock of 10 s, renewed every 5 s, looked over every 5 s: the work of a killed worker begins again after 10 to 15 s
 * (BullMQ's defaults take about a minute). A processor must not block the event loop for 10 s. `maxStalledCount` is
 * out of reach on purpose: BullMQ would fail the job without asking us; `RetryPolicy.stalls` is the limit.
 */
export const STALL_SETTINGS = { lockDuration: 10_000, stalledInterval: 5_000, maxStalledCount: 1_000_000 };

/** Set while a queue is held, for only then does BullMQ look at `queue.rateLimit`; it never limits by itself. */
export const OPEN_LIMITER = { max: 1_000_000, duration: 1_000 };

/** Longer than GitHub's window for redelivery (3 days; 7 on GHES), so that a redelivered job is known. */
const WEEK_S = 7 * 24 * 3_600;

/** A worker's, and not each job's: what a job has of its own is packed, kept, read and parsed for each. */
export const KEEP_FINISHED = { removeOnComplete: { age: WEEK_S }, removeOnFail: { age: WEEK_S } };

/** `attempts` out of reach: the policy counts, not BullMQ. */
export const JOB_OPTIONS: JobsOptions = {
  attempts: 1_000_000,
  backoff: { type: "policy" },
  stackTraceLimit: 5,
};

/** Of a demand's queue job. BullMQ takes jobs without a priority first, then 1, 2, … */
export function demandOptions(demand: Demand): JobsOptions & { readonly jobId: string } {
  const { key, generation, rank = 0 } = demand;
  return { ...JOB_OPTIONS, ...(rank > 0 ? { priority: rank } : {}), jobId: demandJobId(key, generation) };
}

export type WorkKind = "provision" | "terminate";

export function attemptsOf(policy: RetryPolicy, kind: WorkKind): number {
  return kind === "provision" ? policy.provisionAttempts : policy.terminateAttempts;
}

interface Context {
  readonly attempt: number;
  readonly kind: WorkKind;
  readonly ageMs: number;
}

/** What an error asks for; `attempt` is 1 for the first try, `ageMs` that of the workflow job. */
export function decide(error: unknown, context: Context, policy: RetryPolicy): Verdict {
  const cause = error instanceof Error ? error : new Error(`not an Error was thrown: ${typeof error}`);
  if (cause instanceof RateLimitedError) {
    // One second at least, or it would spin; a quarter of an hour at most, then it is asked again.
    const waitMs = Math.min(Math.max(cause.retryAfterMs, 1_000), 900_000);
    return cause.isShared ? { kind: "aside", delayMs: spread(waitMs) } : { kind: "hold", pauseMs: waitMs };
  }
  if (cause instanceof NoCapacityError && cause.waitsForHost && context.ageMs < policy.hostWaitMs)
    return { kind: "aside", delayMs: spread(hostDelayMs(context.ageMs, policy)) };
  return again(cause, context, policy);
}

function hostDelayMs(ageMs: number, { hostBaseMs, hostCapMs }: RetryPolicy): number {
  return Math.min(Math.max(ageMs / 4, hostBaseMs), hostCapMs);
}

/** Counted: backed off, or dead after the last try. */
function again(cause: Error, context: Context, policy: RetryPolicy): Verdict {
  const errorClass = cause instanceof ProvisionError ? cause.errorClass : "unknown";
  if (errorClass === "invalid-spec" || errorClass === "unauthorized") return { kind: "dead", error: cause };
  const most = attemptsOf(policy, context.kind);
  const limit = errorClass === "unknown" ? Math.min(policy.unknownAttempts, most) : most;
  if (context.attempt >= limit) return { kind: "dead", error: cause };
  const [base, cap] =
    errorClass === "no-capacity"
      ? [policy.noCapacityBaseMs, policy.noCapacityCapMs]
      : [policy.transientBaseMs, policy.transientCapMs];
  return { kind: "retry", delayMs: jitter(Math.min(base * 2 ** (context.attempt - 1), cap)) };
}

/** The shortest back-off that a transient error of this try may get. */
export function leastRetryMs(attempt: number, policy: RetryPolicy): number {
  return LEAST_JITTER * Math.min(policy.transientBaseMs * 2 ** (attempt - 1), policy.transientCapMs);
}

const LEAST_JITTER = 0.75;

/** Not before, and not all together. */
function spread(ms: number): number {
  return Math.round(ms * (1 + Math.random() / 4));
}

/** Between three quarters and five quarters: many that failed together don't come back together. */
function jitter(ms: number): number {
  return Math.round(ms * (LEAST_JITTER + Math.random() / 2));
}

/** Carries the delay that was decided to BullMQ's back-off hook. */
class RetryLater extends Error {
  readonly delayMs: number;
  constructor(cause: Error, delayMs: number) {
    super(describe(cause), { cause });
    this.name = cause.name;
    this.delayMs = delayMs;
  }
}

function describe(error: Error): string {
  const code = error instanceof ProvisionError && error.code ? ` (${error.code})` : "";
  return `${error.name}: ${error.message}${code}`;
}

/** BullMQ's back-off hook. An error that isn't ours came from BullMQ or Redis: shortly. */
export function backoffStrategy(_attemptsMade: number, _type?: string, error?: Error): number {
  return error instanceof RetryLater ? error.delayMs : 2_000;
}

/** To be thrown from the processor: counts an attempt and comes back after the delay. */
export const retryLater = (cause: Error, delayMs: number): Error => new RetryLater(cause, delayMs);
/** … is failed for good. */
export const neverAgain = (cause: Error): Error => new UnrecoverableError(describe(cause));
/** … after `queue.rateLimit`: goes back to the head of the line, no attempt used. */
export const queueIsHeld = (): Error => new RateLimitError();
/** … after `job.moveToDelayed`: no attempt used. */
export const isDelayed = (): Error => new DelayedError();
/** … after `job.moveToWait`: no attempt used. */
export const isGivenBack = (): Error => new WaitingError();
