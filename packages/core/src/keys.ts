import { createHash } from "node:crypto";

/** The one identity of a demand: BullMQ job id, ledger key, log field. Never a bare integer (BullMQ refuses those). */
export function demandKey(workflowJobId: number): string {
  return `wfj-${workflowJobId}`;
}

/** Identity of a planned demand; a dry run never shares an id with a real one. */
export function dryRunKey(deliveryId: string): string {
  return `dry-${deliveryId.replace(/[^\w-]/g, "-")}`;
}

/** Queue job id of a demand: its key, and from the second machine on its generation. */
export function demandJobId(key: string, generation: number): string {
  return generation === 1 ? key : `${key}-g${generation}`;
}

/** The demand that a queue job is about, and which of its machines. */
export function parseDemandJobId(jobId: string): { readonly key: string; readonly generation: number } {
  const [, key, generation] = /^(wfj-\d+)-g(\d+)$/.exec(jobId) ?? [];
  return key === undefined ? { key: jobId, generation: 1 } : { key, generation: Number(generation) };
}

export interface LaunchIdentity {
  /** Queue job ids of the demands that go together: each wants one machine. */
  readonly placeHolders: readonly string[];
  readonly runnerClass: string;
  readonly offeringIndex: number;
  /**
   * Rises with every launch that the same offering has seen for any of them, so that the id of one that is over (refused,
   * or its machines ended) is never used for another.
   */
  readonly renewal: number;
}

/** Same members, offering and renewal: same launch id, on any worker, at any time. 24 hex digits, `l-` before. */
export function launchId(identity: LaunchIdentity): string {
  const { placeHolders, runnerClass, offeringIndex, renewal } = identity;
  const parts = [[...placeHolders].sort().join(","), runnerClass, offeringIndex, renewal];
  return `l-${createHash("sha256").update(parts.join("|")).digest("hex").slice(0, 24)}`;
}

/**
 * EC2's `ClientToken`: SHA-256 in hex, exactly its 64 characters. EC2's idempotency is zonal when a subnet is given,
 * so `placement` (subnet, instance type) is part of it: a call for another subnet is another call.
 */
export function clientToken(id: string, placement: string): string {
  return createHash("sha256").update(`${id}|${placement}`).digest("hex");
}

/** What the names of all of a launch's runners begin with. */
export function runnerNamePrefix(prefix: string, id: string): string {
  return `${prefix}-${id.replace(/^l-/, "")}-`;
}

/** Name of the `index`-th runner of a launch: deterministic, so that a lost answer finds its own runner. <= 64 chars. */
export function runnerName(prefix: string, id: string, index: number): string {
  return `${runnerNamePrefix(prefix, id)}${index}`;
}
