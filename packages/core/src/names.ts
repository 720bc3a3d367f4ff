/** GitHub compares labels, owners and repositories without case. */
export function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** Whether each of `some` is among `all`. */
export function holdsAll(all: readonly string[], some: readonly string[]): boolean {
  const held = new Set(all.map((name) => name.toLowerCase()));
  return some.every((name) => held.has(name.toLowerCase()));
}

/** Whether the catalog's `allow` serves the repository at all. */
export function isServed(
  allow: { readonly owners: readonly string[]; readonly repositories: readonly string[] },
  { owner, repository }: { readonly owner: string; readonly repository: string },
): boolean {
  return (
    allow.owners.some((name) => sameName(name, owner)) ||
    allow.repositories.some((name) => sameName(name, `${owner}/${repository}`))
  );
}
