export * from "./budget.ts";
export { type ClaimNoteKind, findClaimNote, findOpenClaim } from "./claim-notes.ts";
export { INGRESS_SIGN_MS, isIngressAway, signIngress } from "./ingress-sign.ts";
export * from "./ledger.ts";
export { runnerNamesFor } from "./runner-names.ts";
export { readShown, recordBegun } from "./shown-workflow-job.ts";
export { createRefusalTeller } from "./tell-refusal.ts";
export { type Warner, warn } from "./tell-warning.ts";
export * from "./types.ts";
