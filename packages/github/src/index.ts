export type { GitHubAuth } from "./clients.ts";
export { compareVersions } from "./downloads.ts";
export { createGitHub, type GitHubOptions } from "./github.ts";
export * from "./types.ts";
