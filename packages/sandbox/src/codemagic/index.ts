export { type CodemagicStandIn, createCodemagicStandIn } from "./stand-in.ts";
export type { CodemagicBuild, CodemagicStandInOptions } from "./types.ts";
