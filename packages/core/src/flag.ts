/** Yes or no in any case, as the settings take it (`flag` of packages/runtime); undefined for any other word. */
export function readFlag(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  if (["true", "1", "yes"].includes(word)) return true;
  if (["false", "0", "no"].includes(word)) return false;
  return undefined;
}

/** The same as a pattern, for what describes text. */
export const FLAG_WORDS = /^(true|1|yes|false|0|no)$/i;

/** What a fault says of all else. */
export const FLAG_RULE = "must be true or false (or 1/0, yes/no)";
