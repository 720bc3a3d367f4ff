/** EC2's query protocol: `Filter.1.Value.2=x` becomes `{ Filter: [{ Value: [.., "x"] }] }`. */
export interface FormNode {
  readonly [name: string]: FormValue | undefined;
}
export type FormValue = string | FormNode | readonly FormValue[];

type Draft = { [name: string]: string | Draft };

/** Parses a form body; lists are the maps whose keys are 1, 2, 3, … */
export function parseForm(body: string): FormNode {
  const root: Draft = Object.create(null);
  for (const [key, value] of new URLSearchParams(body)) put(root, key.split("."), value);
  return freeze(root) as FormNode;
}

function put(root: Draft, path: readonly string[], value: string): void {
  let node = root;
  for (const name of path.slice(0, -1)) {
    const child = node[name];
    const next: Draft = typeof child === "object" ? child : Object.create(null);
    node[name] = next;
    node = next;
  }
  node[path.at(-1) ?? ""] = value;
}

function freeze(draft: Draft | string): FormValue {
  if (typeof draft === "string") return draft;
  const keys = Object.keys(draft);
  const isList = keys.length > 0 && keys.every((key) => /^\d+$/.test(key));
  if (!isList) return Object.fromEntries(keys.map((key) => [key, freeze(draft[key] ?? "")]));
  return keys.sort((a, b) => Number(a) - Number(b)).map((key) => freeze(draft[key] ?? ""));
}

export function textOf(node: FormNode | undefined, name: string): string | undefined {
  const value = node?.[name];
  return typeof value === "string" ? value : undefined;
}

export function nodeOf(node: FormNode | undefined, name: string): FormNode | undefined {
  const value = node?.[name];
  return typeof value === "object" && !Array.isArray(value) ? (value as FormNode) : undefined;
}

export function listOf(node: FormNode | undefined, name: string): readonly FormNode[] {
  const value = node?.[name];
  return Array.isArray(value) ? value.filter((item): item is FormNode => typeof item === "object") : [];
}

export function textsOf(node: FormNode | undefined, name: string): readonly string[] {
  const value = node?.[name];
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
