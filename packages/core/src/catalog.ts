import { type Alias, type Document, isMap, isNode, isScalar, LineCounter, parseDocument, visit } from "yaml";
import type { z } from "zod";
import { describeIssue, flattenIssue, type Issue, type Path } from "./catalog-issues.ts";
import { crossCheck } from "./catalog-rules.ts";
import { type Catalog, catalogSchema, DEFAULT_CLASS_LIMITS, type RunnerClass } from "./catalog-schema.ts";
import { type CatalogOptions, fillTemplate } from "./catalog-template.ts";

export type {
  Catalog,
  CodemagicOffering,
  Ec2Offering,
  Offering,
  ProviderName,
  RunnerClass,
} from "./catalog-schema.ts";
export type { CatalogOptions } from "./catalog-template.ts";

/** One thing wrong with `runners.yaml`; line and column begin at 1. */
export interface CatalogFault {
  readonly line: number;
  readonly column: number;
  /** `classes[0].offerings[1].region` */
  readonly path: string;
  readonly message: string;
}

export type CatalogVerdict =
  | { readonly ok: true; readonly catalog: Catalog }
  | {
      readonly ok: false;
      readonly faults: readonly CatalogFault[];
      /** Those that its offerings name, as far as it can be read: what else they need can be told together. */
      readonly providers: ReadonlySet<string>;
    };

/** Reads the catalog whole and reports every fault together, each with its place. */
export function parseCatalog(text: string, options: CatalogOptions): CatalogVerdict {
  const lines = new LineCounter();
  // Its pretty errors are of several lines.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0) {
    const faults = document.errors.map(({ pos: [offset], message }) => ({
      ...place(offset),
      path: "",
      message: unquotedAt(text, offset) ?? message,
    }));
    return { ok: false, faults: firstOfEachLine(faults), providers: new Set() };
  }
  const unfilled = fillTemplate(document, options).map(({ offset, message }) => ({
    ...place(offset),
    path: "",
    message,
  }));
  const plain = toPlain(document);
  if ("fault" in plain) {
    const fault = { ...place(plain.offset), path: "", message: plain.fault };
    return { ok: false, faults: [fault], providers: providersOf(document) };
  }
  const parsed = catalogSchema.safeParse(plain.value, { error: describeIssue });
  const issues = parsed.success ? crossCheck(parsed.data) : checkFaulty(plain.value, parsed.error);
  const faults = issues.map((issue) => ({
    ...place(offsetOf(document, issue.path)),
    path: formatPath(issue.path),
    message: issue.message,
  }));
  // What was not filled in leaves an empty string behind, whose own fault would only repeat the news.
  const isEcho = (fault: CatalogFault) => unfilled.some(({ line }) => line === fault.line);
  const all = [...unfilled, ...faults.filter((fault) => !isEcho(fault))];
  if (all.length === 0 && parsed.success) return { ok: true, catalog: parsed.data };
  return { ok: false, faults: all.sort((a, b) => a.line - b.line), providers: providersOf(document) };
}

/** All that can be said at once: also what spans the classes that have no fault of their own, if that is where they are. */
function checkFaulty(value: unknown, error: z.ZodError): Issue[] {
  const issues = error.issues.flatMap(flattenIssue);
  const faulty = issues.map(({ path }) => (path[0] === "classes" ? path[1] : undefined));
  if (!faulty.every((index) => typeof index === "number")) return issues;
  const { classes } = value as { classes: readonly unknown[] };
  const sound = [...classes.keys()].filter((index) => !faulty.includes(index));
  const rest = catalogSchema.safeParse({
    ...(value as object),
    classes: sound.map((index) => classes[index]),
  });
  return rest.success ? [...issues, ...crossCheck(rest.data, sound)] : issues;
}

/** Where YAML stumbles over the brace of a `${NAME}`: only as a whole value of a block does that need no quotes. */
function unquotedAt(text: string, offset: number): string | undefined {
  if (text.slice(offset - 1, offset + 1) !== `\${`) return undefined;
  const [variable = `\${NAME}`] = /^\$\{[^}\n]*\}/.exec(text.slice(offset - 1)) ?? [];
  return `${variable} must be in quotes inside [ ] and { }: "${variable}"`;
}

/** The rest of a broken line is only what YAML makes of it. */
function firstOfEachLine(faults: readonly CatalogFault[]): readonly CatalogFault[] {
  return faults.filter(({ line }, index) => faults.findIndex((other) => other.line === line) === index);
}

/** YAML finds out about its aliases only now, and throws: a name that no anchor has, or so many that they would fill the memory. */
function toPlain(document: Document): { value: unknown } | { fault: string; offset: number } {
  if (!isMap(document.contents)) return { fault: 'must hold "version", "allow" and "classes"', offset: 0 };
  const aliases: Alias[] = [];
  visit(document, { Alias: (_key, alias) => void aliases.push(alias) });
  const lost = aliases.find((alias) => alias.resolve(document) === undefined);
  if (lost) {
    const fault = `no anchor &${lost.source} stands before this alias, or it is in a part that is not enabled`;
    return { fault, offset: lost.range?.[0] ?? 0 };
  }
  try {
    return { value: document.toJS() };
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    const fault = `its aliases can't be followed (${error.message}): write out what they stand for`;
    return { fault, offset: aliases[0]?.range?.[0] ?? 0 };
  }
}

function providersOf(document: Document): ReadonlySet<string> {
  const found = new Set<string>();
  visit(document, {
    Map(_key, node) {
      if (node.has("provider")) found.add(String(node.get("provider")));
    },
  });
  return found;
}

/**
 * The lower goes first wherever classes wait for the same. It is the class's own, whatever others there are: so priorities
 * may change while some wait, and processes with different catalogs agree on the classes that are alike in both.
 */
export function rankOf({ priority }: RunnerClass): number {
  return -priority;
}

/** What a demand of the class carries for its queue, where it stays: nothing where its class is among the first. */
export function queueRankOf(
  catalog: Pick<Catalog, "classes">,
  runnerClass: RunnerClass,
): { readonly rank?: number } {
  const rank = Math.max(...catalog.classes.map(({ priority }) => priority)) - runnerClass.priority;
  return rank > 0 ? { rank } : {};
}

/** The limits of a class by name; the schema's own for one that the catalog has no more, for its machines must end too. */
export function limitsOf(catalog: Pick<Catalog, "classes">, name: string): typeof DEFAULT_CLASS_LIMITS {
  return catalog.classes.find((one) => one.name === name) ?? DEFAULT_CLASS_LIMITS;
}

/** One line a person understands: `runners.yaml:12:7 classes[0].maxRunners: expected number`. */
export function formatFault(file: string, fault: CatalogFault): string {
  return `${file}:${fault.line}:${fault.column} ${fault.path ? `${fault.path}: ` : ""}${fault.message}`;
}

/** Where the path's node stands; for a key that is missing, its nearest parent. */
function offsetOf(document: Document, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const parent = document.getIn(path.slice(0, length - 1), true);
    const key = path[length - 1];
    const pair = isMap(parent)
      ? parent.items.find((item) => isScalar(item.key) && item.key.value === key)
      : undefined;
    if (pair && isNode(pair.key) && pair.key.range) return pair.key.range[0];
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}

function formatPath(path: Path): string {
  return path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : `${text}${text && "."}${String(key)}`),
    "",
  );
}
