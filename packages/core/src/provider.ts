import type { Turn } from "./budget.ts";
import type { Offering, ProviderName, RunnerClass } from "./catalog.ts";
import type { ProvisionError } from "./errors.ts";
import type { Scope } from "./scope.ts";

/** What a booting machine needs to know. The same values on every retry, so that user data stays the same bytes. */
export interface BootParameters {
  /** The ingress as machines reach it, no trailing slash: `https://grp.example.com`. */
  readonly publicUrl: string;
  /** Signed ticket. Only ever in user data or a build variable; never logged. */
  readonly ticket: string;
  readonly bootTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxRuntimeMs: number;
}

/** One launch, written down in the ledger before any provider is called. */
export interface LaunchOrder<O extends Offering = Offering> {
  /** Also an instance tag and a build label. */
  readonly launchId: string;
  readonly offering: O;
  readonly runnerClass: RunnerClass;
  readonly scope: Scope;
  /** Instances wanted. */
  readonly size: number;
  /** What `admit` gave a moment ago. */
  readonly leave?: Leave | undefined;
  readonly boot: BootParameters;
  /**
   * Where an earlier try of this launch stood when it ended: the last string given to `recordPlacement`. A retry must
   * begin there, for a machine may be running there whose answer was lost. Opaque to everyone but the provider.
   */
  readonly placement?: string | undefined;
  /**
   * Write-ahead: awaited before each provider call that may start a machine. The ledger keeps the last one, and the
   * next try gets it as `placement`. Without it a lost answer followed by a retry may cost a second machine.
   */
  readonly recordPlacement?: (placement: string) => Promise<void>;
}

export interface Instance {
  /** The provider's string: `i-…` or a CodeMagic build id. */
  readonly instanceId: string;
  readonly provider: ProviderName;
  readonly launchId: string;
  readonly state: "pending" | "running" | "terminating";
  /** Epoch ms. */
  readonly launchedAt: number;
  /** From tags or labels, where the provider keeps them. */
  readonly runnerClass?: string;
  readonly scope?: string;
  /** EC2 only: what the instance identity document must say. */
  readonly region?: string;
  readonly accountId?: string;
  readonly isSpot?: boolean;
  /** CodeMagic only. */
  readonly app?: string;
}

/** What a provider shows of ours. */
export interface Listing {
  readonly instances: readonly Instance[];
  /**
   * Regions (EC2) and apps (CodeMagic) that could not be asked, as instances name them: what is there is unknown, not
   * gone. Never all of them: then the call fails.
   */
  readonly unasked: readonly { readonly place: string; readonly error: ProvisionError }[];
}

/** Where its provider must be asked for it; undefined where the ledger was not told. */
export function placeOf({ region, app }: Pick<Instance, "region" | "app">): string | undefined {
  return region ?? app;
}

/** Leave for so many machines, at most as many as wanted; or how long to wait before asking again. */
export type Admission =
  | { readonly granted: number; readonly leave?: Leave }
  | { readonly waitMs: number; readonly shortage?: Shortage };

/** What `admit` has taken of the provider's limits, for the first call of one launch. */
export interface Leave {
  /**
   * The call goes out now, for so many machines: what it needs no more goes back. When the leave was granted, by the clock of
   * the limits; undefined if another call has used it.
   */
  use(machines: number): { readonly grantedAt: number } | undefined;
  /** No call will use it any more. Nothing happens if one has. */
  giveBack(): void;
}

/** What there is too little of for now, for all who need it, and how fast it comes again: room for so many, every so often. */
export interface Shortage {
  readonly name: string;
  readonly everyMs: number;
  readonly machines: number;
}

/**
 * The four verbs of a provider. Every error is one of `errors.ts`; nothing retries inside. An aborted call ends at once
 * with a `TransientError` of code `aborted`: what it had asked for may still happen, and a retry finds it.
 */
export interface RunnerProvider<O extends Offering = Offering> {
  readonly name: ProviderName;
  /** The most machines one order may ask for; 1 where the provider starts one at a time. */
  readonly maxLaunchSize: number;
  /** Prove that a launch would be accepted, and start nothing. */
  validate(offering: O, signal: AbortSignal): Promise<void>;
  /**
   * How many machines a launch of `wanted` may ask for at this moment, by the provider's rate limits, after those before
   * it in their line. Starts nothing. Absent where no limit is known.
   */
  admit?(offering: O, wanted: number, turn?: Turn): Promise<Admission>;
  /** Start `order.size` machines. The same order id again yields the same machines, never more. May yield fewer. */
  launch(order: LaunchOrder<O>, signal: AbortSignal): Promise<readonly Instance[]>;
  /**
   * "gone" only when the provider itself says so, also of an id never seen. "terminating" promises nothing: the caller
   * asks again until it hears "gone", and each call asks the provider anew. `region` is where it was launched, if known:
   * the catalog may name that region no longer.
   */
  terminate(instanceId: string, signal: AbortSignal, region?: string): Promise<"terminating" | "gone">;
  /** Every live instance that bears our owner tag, all pages, of each place that could be asked. */
  list(signal: AbortSignal): Promise<Listing>;
}
