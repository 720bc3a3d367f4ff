import { readFileSync } from "node:fs";
import { type Catalog, formatFault, parseCatalog } from "@grp/core";
import type { GitHubAuth } from "@grp/github";
import {
  ConfigError,
  type Environment,
  readEnvironment,
  rsaPrivateKey,
  type SettingFault,
  type SettingRule,
} from "@grp/runtime";
import type { z } from "zod";
import type { githubSettings } from "./shared-settings.ts";

/** What a process reads that serves runner classes by GitHub's leave. */
export interface ReadSettings<S> {
  readonly settings: S;
  readonly catalog: Catalog;
  readonly githubAuth: GitHubAuth;
  /** Content of the files that `files` names, by setting; a setting that is not set has none. */
  readonly contents: ReadonlyMap<string, string>;
}

/** What a rule of one app's own can look at, whatever else is wrong. */
export interface Seen {
  readonly given: Environment;
  /** Undefined when it has faults. */
  readonly catalog: Catalog | undefined;
  /** Of the catalog's offerings, also of a faulty one as far as it can be read. */
  readonly providers: ReadonlySet<string>;
  readonly contents: ReadonlyMap<string, string>;
}

const KEY_FILE = "GITHUB_APP_PRIVATE_KEY_FILE";

type GitHubFields = z.infer<z.ZodObject<typeof githubSettings>>;

/**
 * Reads the settings, the catalog and every file they name before anything starts; throws one `ConfigError` that names
 * every fault. `files`: settings whose value is the path of a text file.
 */
export function readSettings<S extends z.ZodRawShape>(
  schema: z.ZodObject<S & typeof githubSettings>,
  environment: Environment,
  more: {
    readonly files?: readonly string[];
    readonly rules?: readonly ((seen: Seen) => SettingFault | undefined)[];
  } = {},
): ReadSettings<z.infer<z.ZodObject<S & typeof githubSettings>>> {
  const found: SettingFault[] = [];
  const { catalog, providers } = readCatalog(environment, found);
  const contents = readFiles([KEY_FILE, ...(more.files ?? [])], environment, found);
  checkKey(contents, found);
  const settings = readEnvironment(schema, environment, [
    needsGitHub,
    needsWholeApp,
    ...(more.rules ?? []).map(
      (rule): SettingRule =>
        (given) =>
          rule({ given, catalog, providers, contents }),
    ),
    ...found.map((fault) => () => fault),
  ]);
  if (!catalog) throw new ConfigError(found);
  return {
    settings,
    catalog,
    contents,
    githubAuth: chooseAuth(settings as unknown as GitHubFields, contents),
  };
}

const needsGitHub: SettingRule = (given) => {
  if (given.GITHUB_TOKEN || given.GITHUB_APP_ID || keySettingOf(given)) return undefined;
  const remedy =
    "Set GITHUB_TOKEN, or GITHUB_APP_ID with GITHUB_APP_PRIVATE_KEY or GITHUB_APP_PRIVATE_KEY_FILE";
  return { name: "GITHUB_TOKEN", problem: "is not set, and no GitHub App either", remedy };
};

/** Half an App was meant to be a whole one, also where a token would do: it would fail at the first call. */
const needsWholeApp: SettingRule = (given) => {
  const key = keySettingOf(given);
  if (given.GITHUB_APP_ID && !key) {
    const remedy = `Set it or ${KEY_FILE}; or take GITHUB_APP_ID out`;
    return { name: "GITHUB_APP_PRIVATE_KEY", problem: "is not set, and GITHUB_APP_ID is", remedy };
  }
  if (!key || given.GITHUB_APP_ID) return undefined;
  return {
    name: "GITHUB_APP_ID",
    problem: `is not set, and ${key} is`,
    remedy: `Set it, or take ${key} out`,
  };
};

const keySettingOf = (given: Environment) => ["GITHUB_APP_PRIVATE_KEY", KEY_FILE].find((name) => given[name]);

function checkKey(contents: ReadonlyMap<string, string>, found: SettingFault[]): void {
  const content = contents.get(KEY_FILE);
  if (content === undefined) return;
  const problem = rsaPrivateKey().safeParse(content).error?.issues[0]?.message;
  if (problem) found.push({ name: KEY_FILE, problem, remedy: "It is the file that GitHub gave for the App" });
}

/** An App goes before a token: it has the larger budget, and is asked for on purpose. */
function chooseAuth(settings: GitHubFields, contents: ReadonlyMap<string, string>): GitHubAuth {
  const { GITHUB_APP_ID: appId, GITHUB_TOKEN: token = "" } = settings;
  if (!appId) return { kind: "pat", token };
  const privateKey = settings.GITHUB_APP_PRIVATE_KEY ?? rsaPrivateKey().parse(contents.get(KEY_FILE));
  return { kind: "app", appId, privateKey };
}

function readCatalog(environment: Environment, found: SettingFault[]): Pick<Seen, "catalog" | "providers"> {
  const file = environment.RUNNERS_FILE || "runners.yaml";
  const isOff = ["false", "0", "no"].includes(environment.USE_CODEMAGIC?.trim().toLowerCase() ?? "");
  const content = readFile("RUNNERS_FILE", file, found);
  if (content === undefined) return { catalog: undefined, providers: new Set() };
  const verdict = parseCatalog(content, { env: environment, useCodemagic: !isOff });
  if (verdict.ok) {
    const offerings = verdict.catalog.classes.flatMap((runnerClass) => runnerClass.offerings);
    return { catalog: verdict.catalog, providers: new Set(offerings.map(({ provider }) => provider)) };
  }
  for (const fault of verdict.faults)
    found.push({ name: "RUNNERS_FILE", problem: formatFault(file, fault), remedy: "" });
  return { catalog: undefined, providers: verdict.providers };
}

function readFiles(
  names: readonly string[],
  environment: Environment,
  found: SettingFault[],
): ReadonlyMap<string, string> {
  const contents = new Map<string, string>();
  for (const name of names) {
    const file = environment[name]?.trim();
    const content = file ? readFile(name, file, found) : undefined;
    if (content !== undefined) contents.set(name, content);
  }
  return contents;
}

function readFile(name: string, file: string, found: SettingFault[]): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    found.push({ name, problem: `can't be read: ${file} (${code})`, remedy: "" });
    return undefined;
  }
}
