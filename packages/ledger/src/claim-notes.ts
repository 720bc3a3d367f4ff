import type { Note } from "./types.ts";

/**
 * Why a machine's claim was not granted, in a runner's notes: GitHub refuses and will go on doing so, GitHub or we could
 * not answer, or others go first. Claims in a row are one note, the latest.
 */
export const CLAIM_NOTES = ["claim-refused", "claim-unanswered", "claim-in-line"] as const;
export type ClaimNoteKind = (typeof CLAIM_NOTES)[number];

/** What became of its last claim, if that was not granted. */
export function findClaimNote(notes: readonly Note[]): (Note & { readonly kind: ClaimNoteKind }) | undefined {
  return notes.findLast((note): note is Note & { readonly kind: ClaimNoteKind } =>
    CLAIM_NOTES.some((kind) => kind === note.kind),
  );
}
