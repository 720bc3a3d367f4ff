const YES = ["true", "1", "yes"];
const NO = ["false", "0", "no"];

/** Yes or no in any case, for the catalog, the settings and a delivery's `dry-run`; undefined for any other word. */
export function readFlag(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  if (YES.includes(word)) return true;
  return NO.includes(word) ? false : undefined;
}

const inAnyCase = (word: string) =>
  word.replaceAll(/[a-z]/g, (letter) => `[${letter.toUpperCase()}${letter}]`);

/** The same as a pattern, for what describes text; a JSON Schema has no flag for the case. */
export const FLAG_WORDS = new RegExp(`^\\s*(${[...YES, ...NO].map(inAnyCase).join("|")})\\s*$`);

/** What a fault says of all else. */
export const FLAG_RULE = "must be true or false (or 1/0, yes/no)";
