const YES = ["", "1", "true", "yes"];
const NO = ["0", "false", "no"];

/** `?dry-run`, alone or with a word for yes or no. Undefined for any other word: a mistyped one must not launch. */
export function readDryRun(url: string): boolean | undefined {
  const at = url.indexOf("?");
  if (at === -1) return false;
  const words = new URLSearchParams(url.slice(at)).getAll("dry-run").map((word) => word.toLowerCase());
  if (!words.every((word) => [...YES, ...NO].includes(word))) return undefined;
  return words.some((word) => YES.includes(word));
}
