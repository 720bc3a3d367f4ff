export * from "./budget.ts";
export * from "./ledger.ts";
export * from "./types.ts";
