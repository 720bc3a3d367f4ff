export { type CodemagicProviderOptions, createCodemagicProvider, type LiveBuild } from "./provider.ts";
