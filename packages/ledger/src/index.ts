export * from "./ledger.ts";
export * from "./types.ts";
