import type { Job, Queue } from "bullmq";
import type { Redis } from "ioredis";
import { holdQueue } from "./hold.ts";
import { parsePayload, type Work } from "./payload.ts";
import {
  attemptsOf,
  decide,
  isDelayed,
  isGivenBack,
  leastRetryMs,
  neverAgain,
  queueIsHeld,
  type RetryPolicy,
  retryLater,
} from "./retry-policy.ts";
import type { QueueConsumerOptions, WorkContext, WorkOutcome } from "./types.ts";
import { wakeMark } from "./wake.ts";

export type Runner = (job: Job, token: string, signal: AbortSignal) => Promise<unknown>;

interface RunnerOptions extends QueueConsumerOptions {
  readonly policy: RetryPolicy;
  readonly client: Redis;
  readonly queue: Queue;
}

interface Turn {
  readonly job: Job;
  readonly jobId: string;
  readonly token: string;
  readonly attempt: number;
  readonly signal: AbortSignal;
}

/** One turn of one queue job: parse, run, and turn the outcome or the error into what BullMQ understands. */
export function createRunner(options: RunnerOptions): Runner {
  return async (job, token, signal) => {
    const turn: Turn = { job, jobId: job.id ?? "", token, attempt: job.attemptsMade + 1, signal };
    if (signal.aborted) return giveBack(turn);
    const parsed = parsePayload(job.name, job.data);
    if (!parsed.ok)
      return bury(options, turn, undefined, new Error(`the payload can't be read: ${parsed.why}`));
    const { work } = parsed;
    if (job.stalledCounter > options.policy.stalls)
      return bury(options, turn, work, new Error(`workers died over it ${job.stalledCounter} times`));
    const outcome = await attemptWork(options, turn, work);
    if (outcome.kind === "done") return outcome.result ?? null;
    return layAside(options, turn, outcome.delayMs);
  };
}

async function attemptWork(options: RunnerOptions, turn: Turn, work: Work): Promise<WorkOutcome> {
  const { processors, policy } = options;
  const context: WorkContext = {
    jobId: turn.jobId,
    attempt: turn.attempt,
    isLastAttempt: turn.attempt >= attemptsOf(policy, work.kind),
    leastRetryMs: leastRetryMs(turn.attempt, policy),
    signal: turn.signal,
  };
  try {
    return work.kind === "provision"
      ? await processors.provision(work.demand, context)
      : await processors.terminate(work.termination, context);
  } catch (error) {
    if (turn.signal.aborted) return giveBack(turn);
    return answerError(options, turn, work, error);
  }
}

async function answerError(
  options: RunnerOptions,
  turn: Turn,
  work: Work,
  error: unknown,
): Promise<WorkOutcome> {
  const ageMs = work.kind === "provision" ? Date.now() - work.demand.queuedAt : 0;
  const verdict = decide(error, { attempt: turn.attempt, kind: work.kind, ageMs }, options.policy);
  if (verdict.kind === "dead") return bury(options, turn, work, verdict.error);
  const cause = error instanceof Error ? error : new Error(String(error));
  const delayMs = verdict.kind === "hold" ? verdict.pauseMs : verdict.delayMs;
  options.onRetry?.({
    jobId: turn.jobId,
    ...(work.kind === "provision" ? { demand: work.demand } : {}),
    error: cause,
    attempt: turn.attempt,
    delayMs,
  });
  if (verdict.kind === "aside") return { kind: "wait", delayMs, why: cause.message };
  if (verdict.kind === "retry") throw retryLater(cause, delayMs);
  await holdQueue(options.queue, options.client, delayMs);
  throw queueIsHeld();
}

/**
 * Tells `onDead` first and fails it then: a worker that dies in between leaves a job that stalls and comes back here.
 * When `onDead` itself fails, the job is laid aside for a moment, for a death must not go untold.
 */
async function bury(
  options: RunnerOptions,
  turn: Turn,
  work: Work | undefined,
  error: Error,
): Promise<never> {
  try {
    await options.onDead({
      provider: options.provider,
      jobId: turn.jobId,
      ...(work?.kind === "provision" ? { demand: work.demand } : {}),
      ...(work?.kind === "terminate" ? { termination: work.termination } : {}),
      error,
      attempts: turn.attempt,
    });
  } catch (failure) {
    options.onError(failure instanceof Error ? failure : new Error(String(failure)));
    return layAside(options, turn, options.policy.transientBaseMs);
  }
  throw neverAgain(error);
}

async function layAside(options: RunnerOptions, turn: Turn, delayMs: number): Promise<never> {
  await turn.job.moveToDelayed(Date.now() + delayMs, turn.token);
  // From here on another worker may have it. Was it woken while it was still in our hands?
  const isWoken = await options.client.getdel(wakeMark(options.queue.name, turn.jobId)).catch(() => null);
  if (isWoken !== null) await turn.job.promote().catch(() => undefined);
  throw isDelayed();
}

/** Back to the head of the line. Fails only when the lock is lost or Redis is away: then it is found as stalled. */
async function giveBack(turn: Turn): Promise<never> {
  await turn.job.moveToWait(turn.token).catch(() => undefined);
  throw isGivenBack();
}
