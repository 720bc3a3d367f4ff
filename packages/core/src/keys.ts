import { createHash } from "node:crypto";
import type { Offering } from "./catalog.ts";

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

/**
 * Says which offering a launch is for, wherever that stands in its class: another process may have another catalog, and so
 * may the next one here. All that the provider is asked for counts, in whatever order it is written. 16 hex digits.
 */
export function offeringDigest(offering: Offering): string {
  const text = JSON.stringify(offering, (_name, value: unknown) => sortMembers(value));
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

function sortMembers(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}

export interface LaunchIdentity {
  /** Queue job ids of the demands that go together: each wants one machine. */
  readonly placeHolders: readonly string[];
  readonly runnerClass: string;
  readonly offeringDigest: string;
  /**
   * Rises with every launch that the same offering has seen for any of them, so that the id of one that is over (refused,
   * or its machines ended) is never used for another.
   */
  readonly renewal: number;
}

/** Same members, offering and renewal: same launch id, on any worker, at any time. 24 hex digits, `l-` before. */
export function launchId(identity: LaunchIdentity): string {
  const { placeHolders, runnerClass, offeringDigest: offering, renewal } = identity;
  const parts = [[...placeHolders].sort().join(","), runnerClass, offering, renewal];
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
