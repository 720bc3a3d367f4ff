import type { Admission, Leave, Turn } from "@grp/core";

/** What one call is made for; several of them may share it. */
export interface Joining<M, R> {
  /** Those of one key may share a call, and gather while one is under way for it, unless they fill a call (see `isDue`). */
  readonly key: string;
  readonly member: M;
  /** The most members of one call. With 1, and no leave to be asked, calls go out side by side. */
  readonly limit: number;
  /** Of those who wait for leave, whatever their keys, the lowest goes first (`orderOf`); as of now when absent. */
  readonly order?: number;
  /**
   * Leave for a call of so many, or of fewer, asked before each in its first member's turn; while one waits for it, more
   * come together. Who would wait for long is laid aside meanwhile: thrown a `RateLimitedError` that says when its turn
   * may have come. What `run` does not use of it is given back.
   */
  admit?(wanted: number, turn: Turn): Promise<Admission>;
  /** Told once of each member that waits for that leave. */
  held?(member: M): void;
  /** Ends the wait of this member alone; a call under way ends when all of its members have gone. */
  readonly signal: AbortSignal;
  /** One answer for each member, in their order. What it throws is thrown to all of them. */
  run(members: readonly M[], signal: AbortSignal, leave?: Leave): Promise<readonly R[]>;
  /** After a failure, whoever joins within so many ms gets the same error, and no call is made. */
  coolMs?(members: readonly M[]): number;
}

export interface Waiting<M, R> {
  readonly joining: Joining<M, R>;
  readonly order: number;
  heldAt?: number;
  /** Set while it is in a call: it wants nothing of that any more. The last one that leaves ends the call, unless it `goesOn`. */
  leaveCall?: (goesOn?: "goesOn") => void;
  resolve(answer: R): void;
  reject(error: unknown): void;
}

/**
 * Calls under way for one key, the later ones begun by as many as fill one: waiting would make them no larger. As many as EC2 starts in the two
 * seconds that one takes; no more, for where one finds no room the next will hardly find any.
 */
const MOST_CALLS = 4;

/** Those of one key that wait for the next call. */
export interface Line<M, R> {
  readonly waiting: Set<Waiting<M, R>>;
  /** Set from when leave was refused until there was enough for all that one call takes. */
  refusal?: Refusal;
  /** The last leave was refused, or for fewer than one call takes. */
  isShort: boolean;
  /** Calls, and how many of them should have been answered by now. */
  underWay: number;
  overdue: number;
  /** Wakes up whoever makes the calls, to see whether one is due. */
  lookAgain(): void;
}

export type Refusal = Exclude<Admission, { readonly granted: number }>;

export function createLine<M, R>(): Line<M, R> {
  return {
    waiting: new Set(),
    isShort: false,
    underWay: 0,
    overdue: 0,
    lookAgain: () => undefined,
  };
}

/**
 * Whether a call should be made: none is under way, or those who wait fill one and fewer than `MOST_CALLS` are. Where leave is
 * short they gather all the same, for each call that takes a few of them would cost as much as one that takes all.
 */
export function isDue<M, R>({ waiting, underWay, isShort }: Line<M, R>): boolean {
  if (underWay === 0) return true;
  const [first] = waiting;
  return !isShort && underWay < MOST_CALLS && first !== undefined && waiting.size >= first.joining.limit;
}

export function inOrder<M, R>(waiting: Iterable<Waiting<M, R>>): readonly Waiting<M, R>[] {
  return [...waiting].sort((one, other) => one.order - other.order);
}
