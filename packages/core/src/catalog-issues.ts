import type { z } from "zod";

export type Path = readonly PropertyKey[];

/** What is wrong with one place of the catalog, wherever that stands in the file. */
export interface Issue {
  readonly path: Path;
  readonly message: string;
}

/** A union's own message says little: report the variant that came nearest. */
export function flattenIssue(issue: z.core.$ZodIssue): Issue[] {
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
