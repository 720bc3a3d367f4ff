export type { Environment, LogLine, StackProcess } from "./process.ts";
export { type Stack, type StackApp, type StackOptions, startStack } from "./stack.ts";
