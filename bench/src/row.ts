import type { Stand } from "./stand/stand.ts";

/** What one measurement of a row found. */
export interface Measure {
  readonly value: number;
  /** Further figures, for the JSON file and the last column. */
  readonly figures?: Readonly<Record<string, number>>;
}

/** One line of the table. */
export interface Row {
  /** `make bench-<name>` measures it alone, with its baseline. */
  readonly name: string;
  readonly about: string;
  readonly unit: string;
  /** The row whose value, taken in the same round, it is compared with. */
  readonly baseline?: string;
  /** What the ratio to the baseline (or the value, without one; `isByCpu`: the ratio by CPU time) should be. */
  readonly target?: { readonly atLeast: number } | { readonly atMost: number };
  /** Its value is by CPU time, and can only be compared with its baseline's CPU time. */
  readonly isByCpu?: boolean;
  /** Too long to be repeated: measured in the first round only. */
  readonly isOnce?: boolean;
  /** Too long for ten minutes: measured only when it is named. */
  readonly isOnRequest?: boolean;
  measure(stand: Stand): Promise<Measure>;
}
