import type { RunnerClass } from "@grp/core";
import {
  findOpenClaim,
  isIngressAway,
  type Ledger,
  type Note,
  type RunnerRecord,
  type WorkflowJobRecord,
} from "@grp/ledger";

/** Kinds of a demand's notes: its machine was started, and never came to take a workflow job. */
const BOOT_FAILURES = ["boot-timeout", "never-online", "boot-failed"];
const LOSSES = ["lost", "interrupted"];
/** … or no machine could be registered, through no fault of its own. */
const UNREGISTERED = ["unclaimed", "unanswered"];

/** A second loss on spot is no accident: the next machine is not spot. */
const MAX_SPOT_LOSSES = 2;

/** Machines that were started for a demand and never came, since a person last asked for another try. */
export function countBootFailures(notes: readonly Note[]): number {
  return count(notes, BOOT_FAILURES);
}

/** What was noted of the last of them. */
export function findBootFailure(notes: readonly Note[]): Note | undefined {
  return notes.findLast(({ kind }) => BOOT_FAILURES.includes(kind));
}

/** Of its machines since then, those that nothing kept from serving it; its workflow job began on none. */
export function countUnused({ demand, notes, revivedGeneration = 0 }: WorkflowJobRecord): number {
  const kept = count(notes, [...BOOT_FAILURES, ...LOSSES, ...UNREGISTERED]);
  return demand.generation - revivedGeneration - kept;
}

/** Walks along all offerings that found no room, since then too. */
export function countEmptyWalks(notes: readonly Note[]): number {
  return count(notes, ["no-capacity"]);
}

/** The offering that a walk begins at: not spot any more for one whose machines were taken away. */
export function firstOffering({ offerings }: RunnerClass, notes: readonly Note[]): number {
  if (count(notes, LOSSES) < MAX_SPOT_LOSSES) return 0;
  const found = offerings.findIndex((one) => one.provider !== "ec2" || one.market !== "spot");
  return Math.max(found, 0);
}

/**
 * What its demand is told of a machine's end. `unclaimed`: it booted and was put off, for GitHub or we could not answer
 * its claims, or no ingress was there to take them, however well it booted; that says nothing of its class.
 */
export async function judgeEnd(
  { ledger, now }: { readonly ledger: Ledger; readonly now: () => number },
  runner: RunnerRecord,
  { reason, text }: { readonly reason: string; readonly text: string },
): Promise<{ readonly kind: string; readonly text: string }> {
  const kind = endKind(runner, reason);
  const told = describeEnd(runner, text);
  if (kind !== "boot-timeout" && kind !== "boot-failed") return { kind, text: told };
  if (!(await isIngressAway(ledger, now()))) return { kind, text: told };
  return { kind: "unclaimed", text: `${told}; no ingress was there to take its claim` };
}

function endKind(runner: RunnerRecord, reason: string): string {
  const isFailed = reason === "boot-timeout" || isBootFailure(runner, reason);
  if (!isFailed) return reason;
  if (wasPutOff(runner)) return "unclaimed";
  return reason === "boot-timeout" ? reason : "boot-failed";
}

/** With what GitHub, or we, said of its claim; nobody would look there for it. */
function describeEnd(runner: RunnerRecord, text: string): string {
  const claim = findOpenClaim(runner);
  if (!claim) return text;
  const what = claim.kind === "claim-refused" ? "was refused" : "could not be granted";
  return `${text}; its claim ${what}: ${claim.text}`;
}

function wasPutOff(runner: RunnerRecord): boolean {
  const claim = findOpenClaim(runner);
  return claim !== undefined && claim.kind !== "claim-refused";
}

/**
 * Whether a machine's end is a failed boot, not its provider's taking it back: it had not claimed, and reported that it
 * failed or was none that could be taken back.
 */
function isBootFailure({ times, instance, notes }: RunnerRecord, reason: string): boolean {
  if (times.claimed !== undefined) return false;
  const hasFailed = notes.some(({ kind }) => kind === "failed");
  return reason === "failed" || (reason === "lost" && (hasFailed || instance?.isSpot !== true));
}

function count(notes: readonly Note[], kinds: readonly string[]): number {
  return sinceRevived(notes).filter(({ kind }) => kinds.includes(kind)).length;
}

/** A person who asks for another try begins anew. */
export function sinceRevived(notes: readonly Note[]): readonly Note[] {
  const revived = notes.findLastIndex(({ kind }) => kind === "revived");
  return notes.slice(revived + 1);
}
