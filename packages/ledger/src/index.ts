export * from "./budget.ts";
export { type ClaimNoteKind, findClaimNote } from "./claim-notes.ts";
export * from "./ledger.ts";
export { createRefusalTeller } from "./tell-refusal.ts";
export * from "./types.ts";
