import { type Document, isMap, isSeq, visit, type YAMLMap } from "yaml";

export interface CatalogOptions {
  /** Values for `${NAME}` and `${NAME:-default}` in the file. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** False takes the CodeMagic offerings out. */
  readonly useCodemagic: boolean;
}

/**
 * Removes what `enabled: false` (or an empty value) marks, and CodeMagic where it is not used; a class that loses its
 * last offering goes with it.
 */
export function takeOutDisabled(document: Document, options: CatalogOptions): void {
  visit(document, {
    Map(_key, node) {
      if (!isEnabled(node, options)) return visit.REMOVE;
      const offerings = node.get("offerings");
      const hadSome = isSeq(offerings) && offerings.items.length > 0;
      if (hadSome && !offerings.items.some((item) => !isMap(item) || isEnabled(item, options)))
        return visit.REMOVE;
      node.delete("enabled");
      return undefined;
    },
  });
}

function isEnabled(node: YAMLMap, options: CatalogOptions): boolean {
  if (node.get("provider") === "codemagic" && !options.useCodemagic) return false;
  const enabled = node.has("enabled") ? substitute(String(node.get("enabled")), options.env).text : "true";
  return !["", "false", "0", "no"].includes(enabled.toLowerCase());
}

/** Gives the variables that have no value. */
export function fillIn(document: Document, env: CatalogOptions["env"]): { name: string; offset: number }[] {
  const missing: { name: string; offset: number }[] = [];
  visit(document, {
    Scalar(_key, node) {
      if (typeof node.value !== "string" || !node.value.includes("${")) return;
      const filled = substitute(node.value, env);
      missing.push(...filled.missing.map((name) => ({ name, offset: node.range?.[0] ?? 0 })));
      node.value = filled.text;
    },
  });
  return missing;
}

function substitute(text: string, env: CatalogOptions["env"]): { text: string; missing: string[] } {
  const missing: string[] = [];
  const filled = text.replace(
    /\$\{(\w+)(?::-([^}]*))?\}/g,
    (_all, name: string, fallback: string | undefined) => {
      const value = env[name] || fallback;
      if (value === undefined) missing.push(name);
      return value ?? "";
    },
  );
  return { text: filled, missing };
}
