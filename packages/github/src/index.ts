export type { GitHubApp, GitHubAuth } from "./auth.ts";
export { compareVersions } from "./downloads.ts";
export { createGitHub, type GitHubOptions } from "./github.ts";
export type { AppRefusal } from "./refusals.ts";
export * from "./types.ts";
