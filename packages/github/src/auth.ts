export interface GitHubApp {
  readonly appId: string | number;
  /** PEM: a secret. */
  readonly privateKey: string;
}

/** A personal access token; or GitHub Apps, whose installations are looked up, and which share the work. */
export type GitHubAuth =
  | { readonly kind: "pat"; readonly token: string }
  | { readonly kind: "apps"; readonly apps: readonly [GitHubApp, ...GitHubApp[]] };
