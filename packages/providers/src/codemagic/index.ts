export { type CodemagicProviderOptions, createCodemagicProvider } from "./provider.ts";
