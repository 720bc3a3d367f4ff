import { readFileSync } from "node:fs";
import { type Catalog, formatFault, parseCatalog } from "@grp/core";
import type { GitHubAuth } from "@grp/github";
import {
  ConfigError,
  type Environment,
  flag,
  LOG_LEVELS,
  oneOf,
  pem,
  port,
  readEnvironment,
  redisUrl,
  type SettingFault,
  type SettingRule,
  url,
  wholeNumber,
} from "@grp/runtime";
import { z } from "zod";

const text = () => z.string().min(1);
const about = <T extends z.ZodType>(field: T, description: string): T => field.meta({ description });

/** Every variable that the ingress reads. It has no cloud's credentials. */
export const settingsSchema = z.object({
  REDIS_URL: about(redisUrl(), "Redis or Valkey, the same for every process: redis://host:6379."),
  WEBHOOK_TOKEN: about(text(), "The webhook's secret, as in GitHub's settings."),
  WEBHOOK_TOKEN_PREVIOUS: about(text().optional(), "Still accepted while you rotate the secret."),
  TICKET_SECRET: about(text(), "Signs the machines' tickets; the same for ingress and worker."),
  TICKET_SECRET_PREVIOUS: about(text().optional(), "Still accepted while you rotate it."),
  RUNNERS_FILE: about(text().default("runners.yaml"), "The catalog of runner classes."),
  USE_CODEMAGIC: about(flag().prefault("true"), "false takes every CodeMagic offering out."),
  GITHUB_TOKEN: about(text().optional(), "Personal access token; or GITHUB_APP_ID with its key."),
  GITHUB_APP_ID: about(text().optional(), "GitHub App that registers runners."),
  GITHUB_APP_PRIVATE_KEY: about(pem().optional(), "The App's private key (PEM)."),
  GITHUB_APP_PRIVATE_KEY_FILE: about(text().optional(), "… or a file that holds it."),
  GITHUB_API_URL: about(
    url().default("https://api.github.com"),
    "GitHub's API; https://<host>/api/v3 on GHES.",
  ),
  AWS_IDENTITY_CERTIFICATES: about(
    text().optional(),
    "PEM file with further certificates that sign EC2 instance identity documents.",
  ),
  GRP_INSTALLATION: about(text().default("grp"), "Prefix of runner names; the same as the worker's."),
  END_GRACE: about(wholeNumber(0, 600).prefault("15"), "Seconds for a finished machine to end by itself."),
  HOST: about(text().optional(), "Address to listen on; all of them without it."),
  PORT: about(port().prefault("3000"), "Public port: deliveries and claims."),
  INTERNAL_PORT: about(port().prefault("3001"), "Health and metrics."),
  LOG_LEVEL: about(oneOf(...LOG_LEVELS).default("info"), "debug, info, warn or error."),
});

export type IngressConfig = z.infer<typeof settingsSchema> & {
  readonly catalog: Catalog;
  readonly githubAuth: GitHubAuth;
  readonly identityCertificates?: string;
};

const needsGitHub: SettingRule = (given) => {
  const hasKey = given.GITHUB_APP_PRIVATE_KEY ?? given.GITHUB_APP_PRIVATE_KEY_FILE;
  if (given.GITHUB_TOKEN || (given.GITHUB_APP_ID && hasKey)) return undefined;
  const remedy =
    "Set GITHUB_TOKEN, or GITHUB_APP_ID with GITHUB_APP_PRIVATE_KEY or GITHUB_APP_PRIVATE_KEY_FILE";
  return { name: "GITHUB_TOKEN", problem: "is not set, and no GitHub App either", remedy };
};

/** Reads and checks everything before anything starts; throws one `ConfigError` that names every fault. */
export function readConfig(environment: Environment): IngressConfig {
  const found: SettingFault[] = [];
  const catalog = readCatalog(environment, found);
  const certificates = readOptional(environment, "AWS_IDENTITY_CERTIFICATES", found);
  const keyFile = readOptional(environment, "GITHUB_APP_PRIVATE_KEY_FILE", found);
  const settings = readEnvironment(settingsSchema, environment, [
    needsGitHub,
    ...found.map((fault) => () => fault),
  ]);
  if (!catalog) throw new ConfigError(found);
  const privateKey = settings.GITHUB_APP_PRIVATE_KEY ?? keyFile ?? "";
  const { GITHUB_APP_ID: appId, GITHUB_TOKEN: token = "" } = settings;
  return {
    ...settings,
    catalog,
    githubAuth: appId ? { kind: "app", appId, privateKey } : { kind: "pat", token },
    ...(certificates === undefined ? {} : { identityCertificates: certificates }),
  };
}

function readCatalog(environment: Environment, found: SettingFault[]): Catalog | undefined {
  const file = environment.RUNNERS_FILE || "runners.yaml";
  const isOff = ["false", "0", "no"].includes(environment.USE_CODEMAGIC?.trim().toLowerCase() ?? "");
  const content = readFile("RUNNERS_FILE", file, found);
  if (content === undefined) return undefined;
  const verdict = parseCatalog(content, { env: environment, useCodemagic: !isOff });
  if (verdict.ok) return verdict.catalog;
  for (const fault of verdict.faults)
    found.push({ name: "RUNNERS_FILE", problem: formatFault(file, fault), remedy: "" });
  return undefined;
}

function readOptional(environment: Environment, name: string, found: SettingFault[]): string | undefined {
  const file = environment[name];
  return file ? readFile(name, file, found) : undefined;
}

function readFile(name: string, file: string, faults: SettingFault[]): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    faults.push({ name, problem: `can't be read: ${file} (${code})`, remedy: "" });
    return undefined;
  }
}
