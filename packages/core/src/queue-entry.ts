import type { ProviderName } from "./catalog.ts";

/** A script by which a queue takes a job in, as the body of a Lua function of `KEYS` and `ARGV`. */
export interface QueueScript {
  /** Unique in the process. */
  readonly name: string;
  readonly lua: string;
}

/**
 * A queue job, ready to be added by whoever runs the script: so that a demand is written down and put into its queue in
 * one go (ADR 14). Composed by the queue; only it knows what stands in there.
 */
export interface QueueEntry {
  readonly provider: ProviderName;
  readonly script: QueueScript;
  /** The same for all entries of one script and provider. */
  readonly keys: readonly string[];
  /** As many as every entry of the script has. */
  readonly args: readonly (string | Buffer)[];
}
