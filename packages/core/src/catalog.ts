import {
  type Alias,
  type Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type YAMLMap,
} from "yaml";
import type { z } from "zod";
import { type Catalog, catalogSchema, DEFAULT_CLASS_LIMITS, type RunnerClass } from "./catalog-schema.ts";
import { holdsAll } from "./names.ts";

export type {
  Catalog,
  CodemagicOffering,
  Ec2Offering,
  Offering,
  ProviderName,
  RunnerClass,
} from "./catalog-schema.ts";

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

export interface CatalogOptions {
  /** Values for `${NAME}` and `${NAME:-default}` in the file. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** False takes the CodeMagic offerings out. */
  readonly useCodemagic: boolean;
}

type Path = readonly PropertyKey[];

/** Reads the catalog whole and reports every fault together, each with its place. */
export function parseCatalog(text: string, options: CatalogOptions): CatalogVerdict {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0) {
    const faults = document.errors.map((error) => ({
      ...place(error.pos[0]),
      path: "",
      message: error.message,
    }));
    return { ok: false, faults, providers: new Set() };
  }
  takeOutDisabled(document, options);
  const missing = fillIn(document, options.env).map(({ name, offset }) => ({
    ...place(offset),
    path: "",
    message: `\${${name}} is not set in the environment`,
  }));
  const plain = toPlain(document);
  if ("fault" in plain) {
    const fault = { ...place(plain.offset), path: "", message: plain.fault };
    return { ok: false, faults: [fault], providers: providersOf(document) };
  }
  const parsed = catalogSchema.safeParse(plain.value);
  const issues = parsed.success ? crossCheck(parsed.data) : checkFaulty(plain.value, parsed.error);
  const faults = issues.map((issue) => ({
    ...place(offsetOf(document, issue.path)),
    path: formatPath(issue.path),
    message: issue.message,
  }));
  // An unset variable leaves an empty string behind, whose own fault would only repeat the news.
  const isEcho = (fault: CatalogFault) => missing.some((m) => m.line === fault.line);
  const all = [...missing, ...faults.filter((fault) => !isEcho(fault))];
  if (all.length === 0 && parsed.success) return { ok: true, catalog: parsed.data };
  return { ok: false, faults: all.sort((a, b) => a.line - b.line), providers: providersOf(document) };
}

/** YAML finds out about its aliases only now, and throws: a name that no anchor has, or so many that they would fill the memory. */
function toPlain(document: Document): { value: unknown } | { fault: string; offset: number } {
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

/** What a demand of the class carries as its rank: nothing where its class is among the first. */
export function rankOf(
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

interface Issue {
  readonly path: Path;
  readonly message: string;
}

/** A union's own message says little: report the variant that came nearest. */
function flattenIssue(issue: z.core.$ZodIssue): Issue[] {
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const nearest = [...issue.errors].sort((a, b) => a.length - b.length)[0] ?? [];
    const inner = nearest.flatMap(flattenIssue);
    return inner.map((child) => ({ path: [...issue.path, ...child.path], message: child.message }));
  }
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: [...issue.path, key], message: "unknown key" }));
  }
  return [{ path: issue.path, message: issue.message }];
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

/** Rules that span more than one place. `places`: where its classes stand in the file. */
function crossCheck(catalog: Catalog, places?: readonly number[]): Issue[] {
  const issues: Issue[] = [];
  const names = new Set<string>();
  for (const [index, runnerClass] of catalog.classes.entries()) {
    const path = ["classes", places?.[index] ?? index];
    // Two that differ in case alone are one to whoever reads a log or asks for one.
    const name = runnerClass.name.toLowerCase();
    if (names.has(name))
      issues.push({
        path: [...path, "name"],
        message: `"${runnerClass.name}" is used twice (upper and lower case are one)`,
      });
    names.add(name);
    issues.push(...checkLabels(catalog.classes.slice(0, index), runnerClass, path));
    issues.push(...checkShare(catalog, runnerClass, path));
    for (const [at, offering] of runnerClass.offerings.entries()) {
      const where = [...path, "offerings", at];
      if (offering.provider === "codemagic")
        issues.push(...checkTeam(catalog, runnerClass, offering.team, where));
      else issues.push(...checkHost(offering, where));
    }
  }
  return issues;
}

/** A class that no workflow job can reach is a mistake: the first in the file that fits takes them all (see `match.ts`). */
function checkLabels(earlier: Catalog["classes"], runnerClass: RunnerClass, path: Path): Issue[] {
  const where = [...path, "labels"];
  const labels = runnerClass.labels.map((label) => label.toLowerCase());
  const twice = labels.find((label, at) => labels.indexOf(label) !== at);
  if (twice !== undefined)
    return [{ path: where, message: `"${twice}" stands twice: GitHub compares labels without case` }];
  const taker = earlier.find((one) => takesAllOf(one, runnerClass));
  if (!taker) return [];
  return [
    {
      path: where,
      message: `no workflow job can reach it: "${taker.name}" stands before it and serves all that it would; put the class with fewer labels first`,
    },
  ];
}

function takesAllOf(earlier: RunnerClass, later: RunnerClass): boolean {
  if (!holdsAll(earlier.labels, later.labels)) return false;
  if (later.allowPublicRepositories && !earlier.allowPublicRepositories) return false;
  if (!earlier.repositories) return true;
  return later.repositories !== undefined && holdsAll(earlier.repositories, later.repositories);
}

/** A part that is larger than the whole is a mistake: one of the two numbers is not what was meant. */
function checkShare(catalog: Catalog, runnerClass: Catalog["classes"][number], path: Path): Issue[] {
  const part = runnerClass.maxRunnersPerRepository;
  if (part === undefined) return [];
  const wholes = [
    ["maxRunners", runnerClass.maxRunners],
    ["the catalog's maxRunnersPerRepository", catalog.maxRunnersPerRepository],
    ["the catalog's maxRunnersPerOwner", catalog.maxRunnersPerOwner],
  ] as const;
  return wholes
    .filter(([, whole]) => whole !== undefined && part > whole)
    .map(([name, whole]) => ({
      path: [...path, "maxRunnersPerRepository"],
      message: `${part} exceeds ${name} (${whole})`,
    }));
}

function checkTeam(
  catalog: Catalog,
  runnerClass: Catalog["classes"][number],
  teamName: string,
  where: Path,
): Issue[] {
  const team = catalog.codemagicTeams[teamName];
  if (!team) return [{ path: [...where, "team"], message: `no team "${teamName}" under codemagicTeams` }];
  if (runnerClass.maxRuntime <= team.maxBuildDuration) return [];
  const [runs, limit] = [runnerClass.maxRuntime, team.maxBuildDuration].map((ms) => `${ms / 60_000}m`);
  return [{ path: where, message: `maxRuntime ${runs} exceeds the CodeMagic plan's build limit ${limit}` }];
}

function checkHost(
  offering: Catalog["classes"][number]["offerings"][number] & { provider: "ec2" },
  where: Path,
): Issue[] {
  const isMac = offering.instanceTypes.some((type) => type.startsWith("mac"));
  if (isMac && !offering.host) return [{ path: where, message: "mac instance types need a host" }];
  if (isMac && offering.market === "spot")
    return [{ path: [...where, "market"], message: "mac instances have no spot market" }];
  if (!isMac && offering.host)
    return [{ path: [...where, "host"], message: "only mac instance types run on a host here" }];
  return [];
}

/**
 * Removes what `enabled: false` (or an empty value) marks, and CodeMagic where it is not used; a class that loses its
 * last offering goes with it.
 */
function takeOutDisabled(document: Document, options: CatalogOptions): void {
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

function fillIn(document: Document, env: CatalogOptions["env"]): { name: string; offset: number }[] {
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
