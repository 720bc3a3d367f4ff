export * from "./budget.ts";
export { type ClaimNoteKind, findClaimNote } from "./claim-notes.ts";
export { INGRESS_SIGN_MS, isIngressAway, signIngress } from "./ingress-sign.ts";
export * from "./ledger.ts";
export { createRefusalTeller } from "./tell-refusal.ts";
export * from "./types.ts";
