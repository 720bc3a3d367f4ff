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
  /** Who waits for it stands in this line: one for all the windows that serve the same calls. Its own without. */
  readonly line?: string;
  /** Not what the other side tells of (`Told`). Shown to people only when half of it is spent, or a call was refused. */
  readonly isUntold?: boolean;
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
  /**
   * Of a bucket, all of it now, however little is there: those who want any number would else come before one who wants
   * many, for ever. The debt is paid by the clock before anybody else is granted some; `afterMs` says when.
   */
  readonly borrow?: boolean;
}

/** A place in a limit's line: the lowest `order` goes first. */
export interface Turn {
  readonly member: string;
  readonly order: number;
  /** How much later than it was told it may come back and still have its place. */
  readonly patienceMs: number;
  /** It comes back by then, whatever it is told; should it not, it has gone. */
  readonly returnsMs?: number;
  /** What each of those ahead is taken to want of a window; as much as this one where it is absent. */
  readonly each?: number;
}

/** A place in any line: the lower rank first (`rankOf`), then who was queued first. Exact: within 2^53. */
export function orderOf(rank: number, queuedAt: number): number {
  return rank * 1e13 + queuedAt;
}

/** What one way of making a call costs, of several limits at once: all of it is taken, or nothing. */
export type Way = readonly Charge[];

export interface Spending {
  /** Any will do: the one that has the most left is taken. */
  readonly ways: readonly Way[];
  /** So long may the call be held back by us: what a bucket will hold by then may be spent now. */
  readonly holdMs?: number;
  /**
   * Takes its turn in the windows' lines, behind all that stand before it, whichever way those will go: of several windows
   * of one way, in the line of the first that is spent or that others wait for, else in the last one's. Of buckets, in the
   * line of the first; all in it are told when the next may go.
   */
  readonly turn?: Turn;
  /**
   * Goes after everybody in line, and leaves them room: it may use this part of a window, and of a window before which
   * somebody waits the other part. Of the longer limit that the other side tells (`Told`) it leaves `leaves`, a quarter
   * if not given: who must wait for its reset waits up to an hour.
   */
  readonly background?: { readonly share: number; readonly shareInLine: number; readonly leaves?: number };
}

export type SpendVerdict =
  | {
      readonly granted: true;
      /** By its index. */
      readonly way: number;
      /** Of the last charge, between its `least` and its `cost`. */
      readonly amount: number;
      /** Make the call then, and not before; 0 without `holdMs` and `borrow`. */
      readonly afterMs: number;
      /** To give back when the call is over. */
      readonly lease: string;
      /** When it was granted, by the clock of the limits. */
      readonly at: number;
    }
  | {
      readonly granted: false;
      readonly waitMs: number;
      /** Which charge of the first way there was too little for, by its index; the last one, of several. */
      readonly lacks?: number;
    };

/** Limits that others set, shared by all processes: who may call now, and who must wait how long. */
export interface Budget {
  spend(spending: Spending): Promise<SpendVerdict>;
  /**
   * The call is over. The other side counted it some time between its grant and now: so it is no longer under way, and in
   * a window it counts from now. `told`: what the other side says is left of a longer limit of its own; when that is
   * nothing, nobody spends of these limits until it is filled again.
   */
  giveBack(
    lease: string,
    spent: { readonly charges: Way; readonly background?: Spending["background"]; readonly told?: Told },
  ): Promise<void>;
  /**
   * The buckets have again what they granted for something that the other side has not counted: but for one of which it
   * has said since, after `grantedAt`, that it is empty. Where nobody knows when that was, one has no more than has come in
   * since the other side said so.
   */
  refund(charges: Way, grantedAt?: number): Promise<void>;
  /**
   * The other side said it was too much all the same: nothing more for `pauseMs`, then half as much as before, of a bucket
   * only when that was said within the last minute. It rises again slowly, over some minutes. Tells how long ago any process
   * had come to halve the first limit before.
   */
  slowDown(limits: readonly Limit[], pauseMs: number): Promise<{ readonly sinceMs?: number }>;
}

/** The other side's word on how many more calls it will take, and when it counts anew. */
export interface Told {
  readonly left: number;
  /** Of so many; the most that was ever left, where it does not say. */
  readonly most?: number;
  readonly resetInMs: number;
}

/** For a process that shares no limits with anybody: everything is granted at once. */
export const UNLIMITED: Budget = {
  spend: async ({ ways: [charges] }) => ({
    granted: true,
    way: 0,
    amount: charges?.at(-1)?.cost ?? 0,
    afterMs: 0,
    lease: "",
    at: 0,
  }),
  giveBack: async () => undefined,
  refund: async () => undefined,
  slowDown: async () => ({}),
};
