/** What the worker tells a machine at its start; the same names in user data and in a build's variables. */
export interface BootSettings {
  readonly url: string;
  readonly ticket: string;
  readonly bootTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxRuntimeMs: number;
}

/** Throws when something is missing: such a machine could do nothing. */
export function readSettings(values: Readonly<Record<string, string>>): BootSettings {
  const text = (name: string) => {
    const value = values[name];
    if (!value) throw new Error(`The machine was told no ${name}`);
    return value;
  };
  return {
    url: text("GRP_URL"),
    ticket: text("GRP_TICKET"),
    bootTimeoutMs: Number(text("GRP_BOOT_TIMEOUT")) * 1_000,
    idleTimeoutMs: Number(text("GRP_IDLE_TIMEOUT")) * 1_000,
    maxRuntimeMs: Number(text("GRP_MAX_RUNTIME")) * 1_000,
  };
}

/** The assignments at the head of the boot script (`GRP_URL='…'`), wherever user data holds it. */
export function readAssignments(userData: string): Readonly<Record<string, string>> {
  const found = userData.matchAll(/^\s*(GRP_[A-Z_]+)='((?:[^']|'\\'')*)'$/gm);
  return Object.fromEntries(
    [...found].map(([, name = "", value = ""]) => [name, value.replaceAll("'\\''", "'")]),
  );
}
