import type { Attempt, ProvisionOutcome } from "./attempt.ts";
import type { Gatherer } from "./gatherer.ts";

/** Nothing runs under this launch id, for certain, and the ledger knows. */
export interface Refusal {
  /** `spent`: its machines have come and gone; the offering itself may have room. */
  readonly refusal: "no-capacity" | "spent";
  readonly error: Error;
}

/**
 * What became of one demand in a launch of several. `passed-over`: the provider started some, and this one has none.
 * `covered`: nothing is missing. `busy`: somebody else is at it. `answered`: the ledger knows by now.
 */
export type Share =
  | Extract<ProvisionOutcome, { kind: "launched" }>
  | Refusal
  | { readonly kind: "passed-over" | "covered" | "busy" | "answered" };

export type LaunchGatherer = Gatherer<Attempt, Share>;

export const isRefusal = (share: Share | ProvisionOutcome): share is Refusal => "refusal" in share;
