import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { z } from "zod";
import { redactText } from "./redact.ts";

/** Variables as given; an empty one counts as not set. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface SettingFault {
  readonly name: string;
  /** What is wrong, to be read after the name: `is not set`. Never a secret's value. */
  readonly problem: string;
  /** What to do about it. */
  readonly remedy: string;
}

/** A check over several settings at once, e.g. "a token or an App". It sees what is set, and runs whatever else is wrong. */
export type SettingRule = (given: Environment) => SettingFault | undefined;

/** Every missing or bad setting of a process. The message is the text to print; the exit code that goes with it is 2. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly exitCode = 2;
  readonly faults: readonly SettingFault[];

  constructor(faults: readonly SettingFault[]) {
    super(formatFaults(faults));
    this.faults = faults;
  }
}

/** An address too: a password or a key may stand anywhere in one that is ill written. */
const secretName = /TOKEN|SECRET|PASSWORD|KEY|CREDENTIAL|ALERT|URL/;

/** Reads all settings of `schema` (one field a variable) or throws one `ConfigError` that names every fault. */
export function readEnvironment<S extends z.ZodRawShape>(
  schema: z.ZodObject<S>,
  environment: Environment,
  rules: readonly SettingRule[] = [],
): z.infer<z.ZodObject<S>> {
  const given = withoutEmpty(environment);
  const parsed = schema.safeParse(given);
  const faults = [
    ...(parsed.success ? [] : parsed.error.issues.map((issue) => describeIssue(issue, schema, given))),
    ...rules.map((rule) => rule(given)).filter((fault) => fault !== undefined),
  ];
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);
  return parsed.data;
}

/**
 * This process's environment, filled up from `.env` (or the file that `GRP_ENV_FILE` names; `none` for no file).
 * What is set already wins over the file. Only `.env` need not be there; what can't be read is a `ConfigError`.
 */
export function loadEnvironment(): Environment {
  const named = process.env.GRP_ENV_FILE || undefined;
  if (named === "none") return process.env;
  for (const [name, value] of Object.entries(parseEnv(readEnvFile(named)))) process.env[name] ??= value;
  return process.env;
}

function readEnvFile(named: string | undefined): string {
  try {
    // Some editors begin a file with a byte order mark, which would become part of the first name.
    return readFileSync(named ?? ".env", "utf8").replace(/^\uFEFF/, "");
  } catch (error) {
    const { code = "error" } = error as NodeJS.ErrnoException;
    if (named === undefined && code === "ENOENT") return "";
    const problem = `can't be read: ${named ?? ".env"} (${code})`;
    const remedy = "It names a file like .env.example, or none for no file";
    throw new ConfigError([{ name: "GRP_ENV_FILE", problem, remedy }]);
  }
}

/** One line a setting for `--help`: name, whether it is required or its default, and what it is for. */
export function describeEnvironment(schema: z.ZodObject): string {
  const entries = Object.entries(schema.shape);
  const width = Math.max(...entries.map(([name]) => name.length));
  const lines = entries.map(([name, field]) => {
    const notes = [field.meta()?.description, describeDefault(field)].filter((note) => note !== undefined);
    return `  ${name.padEnd(width)}  ${notes.join(" ")}`;
  });
  return ["Environment:", ...lines].join("\n");
}

/** Prints what is wrong with the settings and gives the exit code; any other error is thrown on. */
export function reportConfigError(error: unknown, print: (text: string) => void = console.error): number {
  if (!(error instanceof ConfigError)) throw error;
  print(error.message);
  return error.exitCode;
}

function withoutEmpty(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([, value]) => value?.trim()));
}

function describeIssue(issue: z.core.$ZodIssue, schema: z.ZodObject, given: Environment): SettingFault {
  const name = issue.path.length > 0 ? String(issue.path[0]) : "environment";
  const remedy = schema.shape[name]?.meta()?.description ?? "";
  const value = given[name];
  if (value === undefined && name in schema.shape) return { name, problem: "is not set", remedy };
  const shown = value === undefined || mayHoldSecret(name, value) ? "" : ` (is "${redactText(value)}")`;
  return { name, problem: `${issue.message}${shown}`, remedy };
}

/** What stands before an @ may be the password of an address that was put into the wrong setting. */
function mayHoldSecret(name: string, value: string): boolean {
  return secretName.test(name) || value.includes("@");
}

function describeDefault(field: z.core.$ZodType): string | undefined {
  const { success, data } = z.safeParse(field, undefined);
  if (!success) return "Required.";
  return data === undefined ? undefined : `Default: ${data}.`;
}

function formatFaults(faults: readonly SettingFault[]): string {
  const width = Math.max(...faults.map(({ name }) => name.length));
  const lines = faults.map(
    ({ name, problem, remedy }) => `  ${name.padEnd(width)}  ${problem}${remedy && `. ${remedy}`}`,
  );
  const count = faults.length === 1 ? "1 setting is" : `${faults.length} settings are`;
  return [
    `${count} missing or wrong:`,
    ...lines,
    "Set them in the environment or in .env; .env.example explains each.",
  ].join("\n");
}
