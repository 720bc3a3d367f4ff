import { parseArgs } from "node:util";

/** Which of a process's flags were given. One that it has not is told with `print`, and gives undefined: exit with 2. */
export function readFlags<F extends string>(
  names: readonly F[],
  {
    args = process.argv.slice(2),
    print = console.error,
  }: { args?: string[]; print?(text: string): void } = {},
): { readonly [flag in F]?: boolean } | undefined {
  const options = Object.fromEntries(names.map((name) => [name, { type: "boolean" as const }]));
  try {
    return parseArgs({ args, options }).values as { readonly [flag in F]?: boolean };
  } catch (error) {
    const isKnown = error instanceof TypeError && "code" in error;
    if (!isKnown) throw error;
    const [first = ""] = error.message.split(". ");
    print(`${first}. There are: ${names.map((name) => `--${name}`).join(", ")}`);
    return undefined;
  }
}
