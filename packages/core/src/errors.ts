/**
 * Errors are instructions. Whoever calls a provider or GitHub throws one of these; the queue's retry policy is the
 * only place that turns them into BullMQ's words. `code` is the provider's own code, `cause` the original error.
 */
export type ErrorClass = "invalid-spec" | "unauthorized" | "no-capacity" | "rate-limited" | "transient";

export interface ErrorDetails {
  readonly code?: string;
  readonly cause?: unknown;
}

export abstract class ProvisionError extends Error {
  abstract readonly errorClass: ErrorClass;
  readonly code: string | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = details.code;
  }
}

/** The configuration asks for what can't be had (bad AMI, unknown workflow). Never tried again. */
export class InvalidSpecError extends ProvisionError {
  readonly errorClass = "invalid-spec";
}

/** Our credentials don't allow it. Never tried again. */
export class UnauthorizedError extends ProvisionError {
  readonly errorClass = "unauthorized";
}

/** No room there now: the next offering is tried; after the last one, a long back-off. */
export class NoCapacityError extends ProvisionError {
  readonly errorClass = "no-capacity";
  /** A dedicated host must come free first: EC2 scrubs a mac's for hours. */
  readonly waitsForHost: boolean;

  constructor(message: string, details: ErrorDetails & { readonly waitsForHost?: boolean } = {}) {
    super(message, details);
    this.waitsForHost = details.waitsForHost ?? false;
  }
}

/** Slow down: the whole queue waits `retryAfterMs`; no attempt is used. */
export class RateLimitedError extends ProvisionError {
  readonly errorClass = "rate-limited";
  readonly retryAfterMs: number;
  /** Everybody else learns of it by the budget, and waits if it must: so this piece of work alone is laid aside. */
  readonly isShared: boolean;

  constructor(
    message: string,
    details: ErrorDetails & { readonly retryAfterMs: number; readonly isShared?: boolean },
  ) {
    super(message, details);
    this.retryAfterMs = details.retryAfterMs;
    this.isShared = details.isShared ?? false;
  }
}

/** A passing fault (5xx, network, time-out): backed off and tried again with the same identity. */
export class TransientError extends ProvisionError {
  readonly errorClass = "transient";
}

/**
 * This launch id is used up: its machines were started and have since ended, and the provider starts none under it again.
 * Whoever still wants a machine opens a new launch (`LaunchIdentity.renewal` + 1); the same id never works again.
 */
export class LaunchSpentError extends TransientError {}
