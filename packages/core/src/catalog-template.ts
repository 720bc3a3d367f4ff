import { type Document, isAlias, isMap, isNode, isScalar, isSeq, visit, type YAMLMap } from "yaml";
import { FLAG_RULE, readFlag } from "./flag.ts";

export interface CatalogOptions {
  /** Values for `${NAME}` and `${NAME:-default}` in the file. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** False takes the CodeMagic offerings out. */
  readonly useCodemagic: boolean;
}

/** What can't be filled in, and where in the text that stands. */
export interface TemplateFault {
  readonly offset: number;
  readonly message: string;
}

/** `${NAME}` or `${NAME:-default}`; a default holds no variable. */
export const VARIABLE = /\$\{(\w+)(?::-((?:(?!\$\{)[^}])*))?\}/;

/**
 * Takes out what is not enabled, then fills in the variables of the rest. A part whose `enabled` can't be read stays in,
 * so that its other faults are told too.
 */
export function fillTemplate(document: Document, options: CatalogOptions): readonly TemplateFault[] {
  const faults = takeOutDisabled(document, options);
  visit(document, {
    Scalar(_key, node) {
      if (typeof node.value !== "string" || !node.value.includes("$")) return;
      const filled = substitute(node.value, options.env);
      faults.push(...filled.problems.map((message) => ({ offset: node.range?.[0] ?? 0, message })));
      node.value = filled.text;
    },
  });
  return faults;
}

/**
 * Removes what `enabled: false` marks, and CodeMagic where it is not used; a class that loses its last offering goes
 * with it.
 */
function takeOutDisabled(document: Document, options: CatalogOptions): TemplateFault[] {
  const faults: TemplateFault[] = [];
  const isOut = (node: YAMLMap) => isDisabled(readEnabled(document, node, options.env), node, options);
  visit(document, {
    Map(_key, node) {
      const enabled = readEnabled(document, node, options.env);
      if (isDisabled(enabled, node, options)) return visit.REMOVE;
      const offerings = node.get("offerings");
      const hadSome = isSeq(offerings) && offerings.items.length > 0;
      if (hadSome && offerings.items.every((item) => isMap(item) && isOut(item))) return visit.REMOVE;
      const messages = "problems" in enabled ? enabled.problems : [];
      faults.push(...messages.map((message) => ({ offset: offsetOfEnabled(node), message })));
      node.delete("enabled");
      return undefined;
    },
  });
  return faults;
}

type Enabled = { readonly value: boolean } | { readonly problems: readonly string[] };

function isDisabled(enabled: Enabled, node: YAMLMap, { useCodemagic }: CatalogOptions): boolean {
  if (node.get("provider") === "codemagic" && !useCodemagic) return true;
  return "value" in enabled && !enabled.value;
}

/** A word that is neither yes nor no is a fault: taken for either, it would start what is to be off, or the reverse. */
function readEnabled(document: Document, node: YAMLMap, env: CatalogOptions["env"]): Enabled {
  if (!node.has("enabled")) return { value: true };
  const given = node.get("enabled", true);
  const scalar = isAlias(given) ? given.resolve(document) : given;
  const written = isScalar(scalar) ? String(scalar.value ?? "") : "";
  const { text, problems } = substitute(written, env);
  if (problems.length > 0) return { problems };
  const value = readFlag(text);
  // What a variable holds may be meant for another place, and be secret.
  const what = written === "" ? "it has no value" : `"${written}" is neither`;
  return value === undefined ? { problems: [`enabled: ${FLAG_RULE}; ${what}`] } : { value };
}

function offsetOfEnabled(node: YAMLMap): number {
  const key = node.items.find((item) => isScalar(item.key) && item.key.value === "enabled")?.key;
  return (isNode(key) && key.range?.[0]) || 0;
}

function substitute(text: string, env: CatalogOptions["env"]): { text: string; problems: string[] } {
  const variables = new RegExp(VARIABLE, "g");
  if (isLeft(text.replaceAll(variables, "")))
    return { text, problems: [`"${text}": only \${NAME} and \${NAME:-default} are filled in`] };
  const problems: string[] = [];
  const filled = text.replaceAll(variables, (_all, name: string, fallback: string | undefined) => {
    const value = env[name] || fallback;
    if (value === undefined) problems.push(`\${${name}} is not set in the environment`);
    if (value?.includes(`\${`))
      problems.push(`the value of \${${name}} holds a "\${" of its own, which nothing fills in`);
    return value ?? "";
  });
  return { text: filled, problems };
}

/** Was anything meant for a variable and is none: `${NAME:?word}`, `${NAME-default}`, one within another, a bare `$NAME`? */
function isLeft(text: string): boolean {
  return text.includes(`\${`) || /(^|,)\s*\$\w+\s*(,|$)/.test(text);
}
