/** GitHub compares labels, owners and repositories without case. */
export function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** Whether each of `some` is among `all`. */
export function holdsAll(all: readonly string[], some: readonly string[]): boolean {
  const held = new Set(all.map((name) => name.toLowerCase()));
  return some.every((name) => held.has(name.toLowerCase()));
}
