export * from "./addresses.ts";
export * from "./read-settings.ts";
export * from "./shared-settings.ts";
