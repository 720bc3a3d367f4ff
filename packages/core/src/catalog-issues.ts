import type { z } from "zod";

export type Path = readonly PropertyKey[];

/** What is wrong with one place of the catalog, wherever that stands in the file. */
export interface Issue {
  readonly path: Path;
  readonly message: string;
}

/** For Zod's `error`: in the words of whoever writes YAML. What a part of the schema says itself goes before. */
export function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.input === undefined) return "is missing";
  switch (issue.code) {
    case "invalid_type":
      return describeType(issue.expected, issue.input);
    case "too_small":
      return describeLeast(issue);
    case "too_big":
      return `must be ${issue.maximum} or less`;
    case "invalid_value":
      return describeChoice(issue.values);
    case "invalid_union":
      return Array.isArray(issue.options) ? describeChoice(issue.options) : undefined;
    case "invalid_format":
      return issue.format === "starts_with" ? `must begin with "${issue.prefix}"` : undefined;
    default:
      return undefined;
  }
}

function describeLeast({
  origin,
  minimum,
  inclusive,
}: z.core.$ZodRawIssue<z.core.$ZodIssueTooSmall>): string {
  if (origin === "number") return inclusive ? `must be ${minimum} or more` : `must be more than ${minimum}`;
  // The schema asks no list and no text for more than one item or letter.
  return origin === "array" ? "must have one or more" : "must not be empty";
}

const TYPES: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a map",
  record: "a map",
};

function describeType(expected: string, input: unknown): string {
  const wanted = `must be ${TYPES[expected] ?? expected}`;
  if (input === null) return noValue(wanted);
  if (typeof input === "number" || typeof input === "boolean") return `${wanted}, not ${input}`;
  return `${wanted}, not ${TYPES[Array.isArray(input) ? "array" : typeof input]}`;
}

const noValue = (wanted: string) => `has no value, and ${wanted}`;

/** Zod's `error` for a part that has a rule of its own: what is missing is called that, and not a breach of the rule. */
export const unlessMissing = (rule: string) => ({
  error({ input }: { readonly input?: unknown }): string | undefined {
    if (input === undefined) return undefined;
    return input === null ? noValue(rule) : rule;
  },
});

function describeChoice(values: readonly unknown[]): string {
  return `must be ${values.map((value) => JSON.stringify(value)).join(" or ")}`;
}

/** What Zod found, each at a place of its own. */
export function flattenIssue(issue: z.core.$ZodIssue): Issue[] {
  if (issue.code === "invalid_union") return flattenUnion(issue);
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({ path: [...issue.path, key], message: "unknown key" }));
  return [{ path: issue.path, message: issue.message }];
}

/** What is wrong with the variant that was meant; where that is not certain, what the union says may stand there. */
function flattenUnion({ path, message, errors }: z.core.$ZodIssueInvalidUnion): Issue[] {
  const [nearest, next] = errors
    .filter((variant) => !variant.some(isOfOtherType))
    .map((variant) => variant.flatMap(flattenIssue))
    .sort((a, b) => a.length - b.length);
  if (!nearest || nearest.length === next?.length) return [{ path, message }];
  return nearest.map((child) => ({ path: [...path, ...child.path], message: child.message }));
}

function isOfOtherType({ code, path }: z.core.$ZodIssue): boolean {
  return path.length === 0 && (code === "invalid_type" || code === "invalid_union");
}
