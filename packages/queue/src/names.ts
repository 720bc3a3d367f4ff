import type { ProviderName } from "@grp/core";

/** First part of every Redis key of ours; the braces make it one hash tag, so that all of them share a cluster slot. */
export const QUEUE_PREFIX = "{grp}";

/** One queue per provider, so that one cloud's rate limit never holds up the other. */
export const PROVIDERS: readonly ProviderName[] = ["ec2", "codemagic"];

/** Name of the queue that serves a provider: `grp-ec2`, `grp-codemagic`. */
export function queueName(provider: ProviderName): string {
  return `grp-${provider}`;
}

/** Name of the queue of a schedule: `grp-sweep`. A queue of its own, so that a slow one delays no other. */
export function scheduleQueueName(name: string): string {
  if (!/^[a-z][a-z-]*$/.test(name) || PROVIDERS.some((provider) => provider === name))
    throw new Error(`"${name}" can't name a schedule`);
  return `grp-${name}`;
}

/** Queue job id of a termination: one per runner. */
export function terminationJobId(runnerName: string): string {
  return `end-${runnerName}`;
}
