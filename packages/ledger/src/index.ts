export * from "./budget.ts";
export * from "./ledger.ts";
export { createRefusalTeller } from "./tell-refusal.ts";
export * from "./types.ts";
