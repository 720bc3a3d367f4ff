import { readFlag } from "@grp/core";

/** `?dry-run`, alone or with a word for yes or no. Undefined for any other word: a mistyped one must not launch. */
export function readDryRun(url: string): boolean | undefined {
  const at = url.indexOf("?");
  if (at === -1) return false;
  const words = new URLSearchParams(url.slice(at)).getAll("dry-run");
  const values = words.map((word) => word === "" || readFlag(word));
  return values.includes(undefined) ? undefined : values.includes(true);
}
