import type { Note, RunnerRecord } from "./types.ts";

/**
 * Why a machine's claim was not granted, in a runner's notes: GitHub refuses and will go on doing so, GitHub or we could
 * not answer, or others go first. Claims in a row are one note, the latest.
 */
export const CLAIM_NOTES = ["claim-refused", "claim-unanswered", "claim-in-line"] as const;
export type ClaimNoteKind = (typeof CLAIM_NOTES)[number];

type ClaimNote = Note & { readonly kind: ClaimNoteKind };

/** Of its claims that were not granted, the last. */
export function findClaimNote(notes: readonly Note[]): ClaimNote | undefined {
  return notes.findLast((note): note is ClaimNote => CLAIM_NOTES.some((kind) => kind === note.kind));
}

/** The same, of a machine that was granted none since. */
export function findOpenClaim({
  times,
  notes,
}: Pick<RunnerRecord, "times" | "notes">): ClaimNote | undefined {
  return times.claimed === undefined ? findClaimNote(notes) : undefined;
}
