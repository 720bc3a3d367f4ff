/** Where a runner registers: one repository, or an organization through a runner group. */
export type Scope =
  | { readonly kind: "repository"; readonly owner: string; readonly repository: string }
  | { readonly kind: "organization"; readonly owner: string; readonly runnerGroup: string };

/** One string for a scope, lower case, fit for Redis keys and tags: `repo:acme/app`, `org:acme/default`. */
export function scopeKey(scope: Scope): string {
  return scope.kind === "repository"
    ? `repo:${scope.owner}/${scope.repository}`.toLowerCase()
    : `org:${scope.owner}/${scope.runnerGroup}`.toLowerCase();
}

/** Undefined for what `scopeKey` never gives. Lower case, as GitHub takes it too. */
export function parseScopeKey(key: string): Scope | undefined {
  const [, kind, owner, name] = /^(repo|org):([^/]+)\/(.+)$/.exec(key) ?? [];
  if (owner === undefined || name === undefined) return undefined;
  return kind === "repo"
    ? { kind: "repository", owner, repository: name }
    : { kind: "organization", owner, runnerGroup: name };
}
