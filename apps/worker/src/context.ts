import {
  type Catalog,
  type ErrorClass,
  InvalidSpecError,
  type ProviderName,
  type RunnerProvider,
  type TicketSigner,
} from "@grp/core";
import type { GitHub } from "@grp/github";
import type { Ledger } from "@grp/ledger";
import type { QueueProducer } from "@grp/queue";
import type { LaunchGatherer } from "./share.ts";

/** One wide line per unit of work; `runtime`'s logger fits. */
export interface Log {
  info(message: string, fields: Fields): void;
  warn(message: string, fields: Fields): void;
  error(message: string, fields: Fields): void;
}

export type Fields = Readonly<Record<string, unknown>>;

/** What the worker counts. Every call is cheap and never throws. */
export interface WorkerMetrics {
  provisioned(event: {
    provider: ProviderName;
    runnerClass: string;
    outcome: "launched" | "skipped" | "handed-over" | "waiting" | "error";
    errorClass?: ErrorClass | "bug";
    code?: string;
  }): void;
  /** From GitHub's `queued` to the provider's answer. */
  launchLatency(event: { provider: ProviderName; runnerClass: string; ms: number }): void;
  reaped(event: { provider: ProviderName; reason: string }): void;
  failed(event: { runnerClass: string; errorClass: string; code?: string }): void;
  /** A machine that can't be ended, once. */
  unended(event: { provider: ProviderName; errorClass: string; code?: string }): void;
  swept(event: { rule: string; outcome: "done" | "error" }): void;
  sweepDuration(ms: number): void;
  /** Work that no delivery told of in the first place. */
  recovered(event: { how: "redelivered" | "unheard"; count: number }): void;
}

/** Everything that a piece of the worker's work may need; whatever a test replaces is here. */
export interface WorkerContext {
  readonly catalog: Catalog;
  /** Prefix of our runners' names and value of our owner tags. */
  readonly installation: string;
  /** The ingress as machines reach it, no trailing slash. */
  readonly publicUrl: string;
  /** Nothing is ever started or ended, whatever a request says. */
  readonly dryRun: boolean;
  readonly ledger: Ledger;
  readonly producer: QueueProducer;
  readonly providers: ReadonlyMap<ProviderName, RunnerProvider>;
  readonly github: GitHub;
  /** Those who wait for the same launch, in this process. */
  readonly gatherer: LaunchGatherer;
  readonly signer: TicketSigner;
  readonly log: Log;
  readonly metrics: WorkerMetrics;
  readonly now: () => number;
}

/** This worker was given no credentials for the provider. */
export const NO_PROVIDER = "no_provider";

/** The provider, or a fault of the set-up that no further try mends: its machines are there, and its credentials are not. */
export function providerOf(context: WorkerContext, name: ProviderName): RunnerProvider {
  const provider = context.providers.get(name);
  if (!provider)
    throw new InvalidSpecError(`this worker has no credentials for ${name}`, { code: NO_PROVIDER });
  return provider;
}
