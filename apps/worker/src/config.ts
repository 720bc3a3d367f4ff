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

/** Every variable that the worker reads, the AWS SDK's own (`AWS_*`) apart. */
export const settingsSchema = z.object({
  REDIS_URL: about(redisUrl(), "Redis or Valkey, the same for every process: redis://host:6379."),
  PUBLIC_URL: about(url(), "The ingress as machines reach it: https://grp.example.com."),
  RUNNERS_FILE: about(text().default("runners.yaml"), "The catalog of runner classes."),
  TICKET_SECRET: about(text(), "Signs the machines' tickets; the same for ingress and worker."),
  GITHUB_TOKEN: about(text().optional(), "Personal access token; or GITHUB_APP_ID with its key."),
  GITHUB_APP_ID: about(text().optional(), "GitHub App that registers runners."),
  GITHUB_APP_PRIVATE_KEY: about(pem().optional(), "The App's private key (PEM)."),
  GITHUB_APP_PRIVATE_KEY_FILE: about(text().optional(), "… or a file that holds it."),
  GITHUB_API_URL: about(
    url().default("https://api.github.com"),
    "GitHub's API; https://<host>/api/v3 on GHES.",
  ),
  USE_CODEMAGIC: about(flag().default(true), "false takes every CodeMagic offering out."),
  CODEMAGIC_TOKEN: about(text().optional(), "CodeMagic API token; needed where the catalog has CodeMagic."),
  CODEMAGIC_API_URL: about(url().default("https://api.codemagic.io"), "CodeMagic's v1 API."),
  CODEMAGIC_V3_API_URL: about(url().default("https://codemagic.io/api/v3"), "CodeMagic's v3 API."),
  AWS_ENDPOINT_URL_EC2: about(url().optional(), "EC2 elsewhere than at AWS, for tests."),
  GRP_INSTALLATION: about(
    z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,19}$/, "must be lower-case letters, digits and dashes, at most 20")
      .default("grp"),
    "Prefix of runner names and value of owner tags: one for each installation.",
  ),
  DRY_RUN: about(flag().default(false), "true: everything is planned, nothing is ever started or ended."),
  WORKER_CONCURRENCY: about(wholeNumber(1, 100).default(10), "Pieces of work at a time, per provider."),
  SWEEP_INTERVAL: about(
    wholeNumber(1, 3_600).default(30),
    "Seconds between two sweeps, all workers together.",
  ),
  SWEEP_GRACE: about(wholeNumber(1, 3_600).default(120), "Seconds before the sweep judges anything new."),
  REDELIVERY_INTERVAL: about(
    wholeNumber(1, 3_600).default(60),
    "Seconds between two looks for deliveries that failed, all workers together.",
  ),
  UNHEARD_INTERVAL: about(
    wholeNumber(1, 86_400).default(600),
    "Seconds between two searches of GitHub's queued runs for jobs that no delivery told of.",
  ),
  WEBHOOK_URL: about(url().optional(), "Where GitHub's hooks point, if not at PUBLIC_URL/webhook."),
  ALERT_WEBHOOK_URL: about(
    url().optional(),
    "Gets a Slack-compatible message when demands fail for good. A secret.",
  ),
  STOP_DEADLINE: about(wholeNumber(1, 300).default(8), "Seconds to finish work after SIGTERM."),
  INTERNAL_PORT: about(port().default(3002), "Health and metrics."),
  LOG_LEVEL: about(oneOf(...LOG_LEVELS).default("info"), "debug, info, warn or error."),
});

type Settings = z.infer<typeof settingsSchema>;

export interface WorkerConfig extends Omit<Settings, "GITHUB_TOKEN" | "GITHUB_APP_PRIVATE_KEY"> {
  readonly catalog: Catalog;
  readonly githubAuth: GitHubAuth;
}

const needsGitHub: SettingRule = (given) => {
  const hasKey = given.GITHUB_APP_PRIVATE_KEY ?? given.GITHUB_APP_PRIVATE_KEY_FILE;
  if (given.GITHUB_TOKEN || (given.GITHUB_APP_ID && hasKey)) return undefined;
  const remedy =
    "Set GITHUB_TOKEN, or GITHUB_APP_ID with GITHUB_APP_PRIVATE_KEY or GITHUB_APP_PRIVATE_KEY_FILE";
  return { name: "GITHUB_TOKEN", problem: "is not set, and no GitHub App either", remedy };
};

/** Reads and checks everything before anything starts; throws one `ConfigError` that names every fault. */
export function readConfig(environment: Environment): WorkerConfig {
  const found: SettingFault[] = [];
  const catalog = readCatalog(environment, found);
  const rules = [
    needsGitHub,
    () => needsCodemagic(catalog, environment),
    ...found.map((fault) => () => fault),
  ];
  const settings = readEnvironment(settingsSchema, environment, rules);
  if (!catalog) throw new ConfigError(found);
  return { ...settings, catalog, githubAuth: readAuth(settings) };
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

function needsCodemagic(catalog: Catalog | undefined, given: Environment): SettingFault | undefined {
  const isUsed = catalog?.classes.some((one) =>
    one.offerings.some(({ provider }) => provider === "codemagic"),
  );
  if (!isUsed || given.CODEMAGIC_TOKEN) return undefined;
  const remedy = "Set it, or USE_CODEMAGIC=false";
  return { name: "CODEMAGIC_TOKEN", problem: "is not set, and the catalog has CodeMagic offerings", remedy };
}

function readAuth(settings: Settings): GitHubAuth {
  const { GITHUB_APP_ID: appId, GITHUB_APP_PRIVATE_KEY_FILE: file } = settings;
  if (!appId) return { kind: "pat", token: settings.GITHUB_TOKEN ?? "" };
  const faults: SettingFault[] = [];
  const privateKey =
    settings.GITHUB_APP_PRIVATE_KEY ?? readFile("GITHUB_APP_PRIVATE_KEY_FILE", file ?? "", faults);
  if (privateKey === undefined) throw new ConfigError(faults);
  return { kind: "app", appId, privateKey };
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
