export * from "./codemagic/index.ts";
export * from "./ec2/index.ts";
export * from "./github/index.ts";
export * from "./machines/index.ts";
export * from "./sandbox.ts";
