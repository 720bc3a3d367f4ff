/** Filled by the clock, emptied by calls: EC2 counts so. */
export interface BucketLimit {
  readonly kind: "bucket";
  /** The same name is the same limit, for every process. */
  readonly name: string;
  readonly capacity: number;
  readonly perSecond: number;
}

/** No more than `most` within any `windowMs`: GitHub counts points so. */
export interface WindowLimit {
  readonly kind: "window";
  readonly name: string;
  readonly most: number;
  readonly windowMs: number;
}

/** No more than `most` at the same time; who does not give back is counted for `leaseMs`. */
export interface ParallelLimit {
  readonly kind: "parallel";
  readonly name: string;
  readonly most: number;
  readonly leaseMs: number;
}

export type Limit = BucketLimit | WindowLimit | ParallelLimit;

export interface Charge {
  readonly limit: Limit;
  readonly cost: number;
  /** Less than `cost` will do, down to this. */
  readonly least?: number;
}

/** A place in the line before a window: the lowest `order` goes first. */
export interface Turn {
  readonly member: string;
  readonly order: number;
  /** How much later than it was told it may come back and still have its place. */
  readonly patienceMs: number;
}

/** A turn's `order`: the lower rank first, then who was queued first. Exact: below 2^53. */
export function orderOf(rank: number, queuedAt: number): number {
  return rank * 1e13 + queuedAt;
}

/** What is wanted of several limits at once: all of it is taken, or nothing. */
export interface Spending {
  readonly charges: readonly Charge[];
  /** So long may the call be held back by us: what a bucket will hold by then may be spent now. */
  readonly holdMs?: number;
  /** Takes its turn in the line of every window, behind all that stand before it. */
  readonly turn?: Turn;
  /**
   * Goes after everybody in line, and leaves them room: it may use this part of a window, and of a window before which
   * somebody waits the other part.
   */
  readonly background?: { readonly share: number; readonly shareInLine: number };
}

export type SpendVerdict =
  | {
      readonly granted: true;
      /** Of the last charge, between its `least` and its `cost`. */
      readonly amount: number;
      /** Make the call then, and not before; 0 without `holdMs`. */
      readonly afterMs: number;
      /** To give back when the call is over. */
      readonly lease: string;
    }
  | { readonly granted: false; readonly waitMs: number };

/** Limits that others set, shared by all processes: who may call now, and who must wait how long. */
export interface Budget {
  spend(spending: Spending): Promise<SpendVerdict>;
  /**
   * The call is over. The other side counted it some time between its grant and now: so it is no longer under way, and in
   * a window it counts from now.
   */
  giveBack(lease: string, spending: Spending): Promise<void>;
  /**
   * The other side said it was too much all the same: nothing more for `pauseMs`, then half as much as before. It rises
   * again slowly, over some minutes.
   */
  slowDown(limits: readonly Limit[], pauseMs: number): Promise<void>;
}

/** For a process that shares no limits with anybody: everything is granted at once. */
export const UNLIMITED: Budget = {
  spend: async ({ charges }) => ({ granted: true, amount: charges.at(-1)?.cost ?? 0, afterMs: 0, lease: "" }),
  giveBack: async () => undefined,
  slowDown: async () => undefined,
};
