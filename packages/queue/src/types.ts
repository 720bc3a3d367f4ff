import type { Demand, ProviderName, QueueEntry } from "@grp/core";
import type { RetryPolicy } from "./retry-policy.ts";

/** Ends one machine: waits until its provider says it is gone. Job id `end-<runnerName>`. */
export interface Termination {
  readonly version: 1;
  readonly runnerName: string;
  readonly launchId: string;
  readonly provider: ProviderName;
  /** Absent while the provider's answer to the launch is not known; the worker finds it in the ledger or by `list`. */
  readonly instanceId?: string;
  /** Why, as one word for log and metric: `finished`, `not-wanted`, `idle`, `max-runtime`, `orphan`, … */
  readonly reason: string;
  readonly requestedAt: number;
}

/** Redis did not take it in time, or refused it: nothing is promised. The caller answers 503. */
export class QueueUnavailableError extends Error {
  override readonly name = "QueueUnavailableError";
}

/** Queue jobs of one state in one provider's queue. */
export interface QueueCount {
  readonly provider: ProviderName;
  readonly state: string;
  readonly count: number;
  /** Of those that wait, how long the oldest has been there. */
  readonly oldestAgeMs?: number;
  /** With those that wait: a rate limit holds the whole queue for that long. */
  readonly heldMs?: number;
}

/** Puts work into Redis. Every call ends within `deadlineMs`, also when Redis is frozen, and may be repeated freely. */
export interface QueueProducer {
  /** A demand's queue job as `Ledger.recordQueued` adds it; asks Redis nothing, and adds nothing. */
  composeEntry(demand: Demand, provider: ProviderName): QueueEntry;
  /**
   * Resolves only after Redis has it. The same demand and generation again changes nothing, with one exception: handed
   * on to a later offering (`offeringIndex` higher than before), a demand whose job here is finished runs again.
   */
  enqueueDemand(demand: Demand, provider: ProviderName): Promise<void>;
  /** Once per runner at a time; after it has finished or failed, asking again runs it again. */
  enqueueTermination(termination: Termination, options?: { delayMs?: number }): Promise<void>;
  /** Starts a delayed job now (a place became free). Unknown or not delayed: nothing happens. */
  wake(provider: ProviderName, jobId: string): Promise<void>;
  /** Removes a demand that still waits in its queue; false when it is under way or finished. */
  withdraw(provider: ProviderName, jobId: string): Promise<boolean>;
  /** Whether a worker is at it now. */
  isInHand(provider: ProviderName, jobId: string): Promise<boolean>;
  /** Whether the job waits, is delayed or runs: somebody will still deal with it. */
  isUnderWay(provider: ProviderName, jobId: string): Promise<boolean>;
  /** Runs a failed or finished demand's job again under the same id, with all its attempts; a delayed one starts now. A `TransientError` while a worker is at it. */
  retry(demand: Demand, provider: ProviderName): Promise<void>;
  counts(): Promise<readonly QueueCount[]>;
  isReady(): Promise<boolean>;
  close(): Promise<void>;
}

export interface WorkContext {
  readonly jobId: string;
  /** 1 for the first try; waiting for a place or a rate limit uses none. */
  readonly attempt: number;
  readonly isLastAttempt: boolean;
  /** No retry after a passing fault of this try comes back sooner. */
  readonly leastRetryMs: number;
  /** Aborted when the worker must give the job back. */
  readonly signal: AbortSignal;
}

/** How a piece of work ended; errors are thrown (see `ProvisionError`) and become retries or dead letters. */
export type WorkOutcome =
  | { readonly kind: "done"; readonly result: unknown }
  /** Comes back after `delayMs` at the latest, or when woken; uses no attempt. */
  | { readonly kind: "wait"; readonly delayMs: number; readonly why: string };

export interface WorkProcessors {
  provision(demand: Demand, context: WorkContext): Promise<WorkOutcome>;
  terminate(termination: Termination, context: WorkContext): Promise<WorkOutcome>;
}

/** A piece of work that failed for good: told once, whatever the reason (unparseable, never-retry, attempts used up, stalled too often). */
export interface DeadWork {
  readonly provider: ProviderName;
  readonly jobId: string;
  readonly demand?: Demand;
  readonly termination?: Termination;
  readonly error: Error;
  readonly attempts: number;
}

/** What `createQueueProducer` needs. `deadlineMs` bounds every call; `onError` hears of an outage at once and every 30 s. */
export interface QueueProducerOptions {
  readonly redisUrl: string;
  readonly deadlineMs: number;
  readonly onError: (error: Error) => void;
}

export interface QueueConsumerOptions {
  readonly redisUrl: string;
  readonly provider: ProviderName;
  readonly processors: WorkProcessors;
  readonly concurrency: number;
  /** May be called again after a crash: must be idempotent. */
  readonly onDead: (work: DeadWork) => Promise<void>;
  readonly onRetry?: (work: {
    jobId: string;
    demand?: Demand;
    error: Error;
    attempt: number;
    delayMs: number;
  }) => void;
  readonly onError: (error: Error) => void;
  /** Other numbers of tries and delays than the shipped ones. */
  readonly policy?: Partial<RetryPolicy>;
}

export interface QueueConsumer {
  /** Connected and taking work. */
  ready(): Promise<void>;
  isRunning(): boolean;
  /** Takes nothing new, lets running work finish within `deadlineMs`, then aborts it and gives it back without using an attempt. */
  close(deadlineMs: number): Promise<void>;
}

export interface SchedulerOptions {
  readonly redisUrl: string;
  readonly schedules: readonly Schedule[];
  /** A run that threw, or Redis away. The next run comes all the same. */
  readonly onError: (error: Error, schedule?: string) => void;
}

export interface Scheduler {
  /** Every schedule is in Redis and this process takes its turns. */
  ready(): Promise<void>;
  isRunning(): boolean;
  /** Takes no new turn, lets a run finish within `deadlineMs`, then aborts it; another worker makes the next. */
  close(deadlineMs: number): Promise<void>;
}

/** One job for the whole cluster at a time, by BullMQ's job scheduler; survives any worker's death. */
export interface Schedule {
  readonly name: string;
  readonly everyMs: number;
  readonly run: (signal: AbortSignal) => Promise<void>;
}
