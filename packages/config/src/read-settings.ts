import { readFileSync } from "node:fs";
import { type Catalog, formatFault, parseCatalog } from "@grp/core";
import type { GitHubApp, GitHubAuth } from "@grp/github";
import {
  ConfigError,
  type Environment,
  readEnvironment,
  rsaPrivateKey,
  type SettingFault,
  type SettingRule,
} from "@grp/runtime";
import type { z } from "zod";
import { appSettings, type githubSettings } from "./shared-settings.ts";

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

type AppSettings = (typeof appSettings)[number];

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
  const contents = readFiles(
    [...appSettings.map(({ keyFile }) => keyFile), ...(more.files ?? [])],
    environment,
    found,
  );
  for (const { keyFile } of appSettings) checkKey(keyFile, contents, found);
  const settings = readEnvironment(schema, environment, [
    needsGitHub,
    ...appSettings.map(needsWholeApp),
    ...appSettings.map(needsOtherApp),
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
    githubAuth: chooseAuth(settings as GitHubFields, contents),
  };
}

const needsGitHub: SettingRule = (given) => {
  if (given.GITHUB_TOKEN || appSettings.some((app) => given[app.id] || keySettingOf(app, given)))
    return undefined;
  const remedy =
    "Set GITHUB_TOKEN, or GITHUB_APP_ID with GITHUB_APP_PRIVATE_KEY or GITHUB_APP_PRIVATE_KEY_FILE";
  return { name: "GITHUB_TOKEN", problem: "is not set, and no GitHub App either", remedy };
};

/** Half an App was meant to be a whole one, also where a token would do: it would fail at the first call. */
function needsWholeApp(app: AppSettings): SettingRule {
  return (given) => {
    const key = keySettingOf(app, given);
    if (given[app.id] && !key) {
      const remedy = `Set it or ${app.keyFile}; or take ${app.id} out`;
      return { name: app.key, problem: `is not set, and ${app.id} is`, remedy };
    }
    if (!key || given[app.id]) return undefined;
    return { name: app.id, problem: `is not set, and ${key} is`, remedy: `Set it, or take ${key} out` };
  };
}

/** The same App once more would have the same limits, and be counted as if it had more. */
function needsOtherApp({ id }: AppSettings, index: number): SettingRule {
  return (given) => {
    const same = appSettings.slice(0, index).find((other) => given[id] && given[other.id] === given[id]);
    if (!same) return undefined;
    return { name: id, problem: `is the same as ${same.id}`, remedy: "Each must be an App of its own" };
  };
}

const keySettingOf = ({ key, keyFile }: AppSettings, given: Environment) =>
  [key, keyFile].find((name) => given[name]);

function checkKey(keyFile: string, contents: ReadonlyMap<string, string>, found: SettingFault[]): void {
  const content = contents.get(keyFile);
  if (content === undefined) return;
  const problem = rsaPrivateKey().safeParse(content).error?.issues[0]?.message;
  if (problem) found.push({ name: keyFile, problem, remedy: "It is the file that GitHub gave for the App" });
}

type GitHubFields = Readonly<Record<string, string | undefined>>;

/** Apps go before a token: they have the larger budget, and are asked for on purpose. */
function chooseAuth(settings: GitHubFields, contents: ReadonlyMap<string, string>): GitHubAuth {
  const apps = appSettings.flatMap(({ id, key, keyFile }): GitHubApp[] => {
    const appId = settings[id];
    if (!appId) return [];
    return [{ appId, privateKey: settings[key] ?? rsaPrivateKey().parse(contents.get(keyFile)) }];
  });
  const [first, ...others] = apps;
  if (first) return { kind: "apps", apps: [first, ...others] };
  return { kind: "pat", token: settings.GITHUB_TOKEN ?? "" };
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
