import {
  about,
  catalogSettings,
  flag,
  githubSettings,
  processSettings,
  publicUrl,
  readSettings,
  type Seen,
  text,
  ticketSecret,
} from "@grp/config";
import type { Catalog } from "@grp/core";
import type { GitHubAuth } from "@grp/github";
import { type Environment, port, type SettingFault, url, wholeNumber } from "@grp/runtime";
import { z } from "zod";

/**
 * Five of EC2's largest launches: while a hundred machines are launched, others gather, wait for their places or end.
 * With two of them the worker and Redis waited for each other, and a full queue emptied at three quarters of the speed. A
 * piece that waits is a few kilobytes, and the locks of all are renewed by one command every five seconds. Half
 * of them may wait for a provider that hangs or refuses (`mostHeld`).
 */
const DEFAULT_CONCURRENCY = "500";

/** Every variable that the worker reads, the AWS SDK's own (`AWS_*`) apart. */
export const settingsSchema = z.object({
  ...processSettings,
  PUBLIC_URL: about(publicUrl(), "The ingress as machines reach it: https://grp.example.com."),
  ...catalogSettings,
  TICKET_SECRET: about(ticketSecret(), "Signs the machines' tickets; the same for ingress and worker."),
  ...githubSettings,
  CODEMAGIC_TOKEN: about(text().optional(), "CodeMagic API token; needed where the catalog has CodeMagic."),
  CODEMAGIC_API_URL: about(url().default("https://api.codemagic.io"), "CodeMagic's v1 API."),
  CODEMAGIC_V3_API_URL: about(url().default("https://codemagic.io/api/v3"), "CodeMagic's v3 API."),
  AWS_ENDPOINT_URL_EC2: about(url().optional(), "EC2 elsewhere than at AWS, for tests."),
  DRY_RUN: about(flag().prefault("false"), "true: everything is planned, nothing is ever started or ended."),
  WORKER_CONCURRENCY: about(
    wholeNumber(1, 1_000).prefault(DEFAULT_CONCURRENCY),
    "Pieces of work at a time, per provider. Launches gather among them.",
  ),
  SWEEP_INTERVAL: about(
    wholeNumber(1, 3_600).prefault("30"),
    "Seconds between two sweeps, all workers together.",
  ),
  SWEEP_GRACE: about(wholeNumber(1, 3_600).prefault("120"), "Seconds before the sweep judges anything new."),
  REDELIVERY_INTERVAL: about(
    wholeNumber(1, 3_600).prefault("60"),
    "Seconds between two looks for deliveries that failed, all workers together.",
  ),
  UNHEARD_INTERVAL: about(
    wholeNumber(1, 86_400).prefault("600"),
    "Seconds between two searches of GitHub's queued runs for jobs that no delivery told of.",
  ),
  WEBHOOK_URL: about(url().optional(), "Where GitHub's hooks point, if not at PUBLIC_URL/webhook."),
  ALERT_WEBHOOK_URL: about(
    url().optional(),
    "Gets a Slack-compatible message when demands fail for good, and of every warning. A secret.",
  ),
  ALERT_INTERVAL: about(
    wholeNumber(1, 3_600).prefault("15"),
    "Seconds between two looks for news to tell there, all workers together.",
  ),
  STOP_DEADLINE: about(wholeNumber(1, 300).prefault("8"), "Seconds to finish work after SIGTERM."),
  INTERNAL_PORT: about(port().prefault("3002"), "Health and metrics."),
});

type Settings = z.infer<typeof settingsSchema>;

export interface WorkerConfig extends Omit<Settings, "GITHUB_TOKEN" | "GITHUB_APP_PRIVATE_KEY"> {
  readonly catalog: Catalog;
  readonly githubAuth: GitHubAuth;
}

/** Reads and checks everything before anything starts; throws one `ConfigError` that names every fault. */
export function readConfig(environment: Environment): WorkerConfig {
  const { settings, catalog, githubAuth } = readSettings(settingsSchema, environment, {
    rules: [needsCodemagic],
  });
  return { ...settings, catalog, githubAuth };
}

function needsCodemagic({ given, providers }: Seen): SettingFault | undefined {
  if (!providers.has("codemagic") || given.CODEMAGIC_TOKEN) return undefined;
  const remedy = "Set it, or USE_CODEMAGIC=false";
  return { name: "CODEMAGIC_TOKEN", problem: "is not set, and the catalog has CodeMagic offerings", remedy };
}
