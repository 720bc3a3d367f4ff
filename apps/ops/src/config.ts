import { catalogSettings, flag, needsOwnPort, processSettings } from "@grp/config";
import { readFlag } from "@grp/core";
import {
  describeEnvironment,
  type Environment,
  type LOG_LEVELS,
  port,
  readEnvironment,
  type SettingRule,
  url,
} from "@grp/runtime";
import { z } from "zod";
import type { CatalogSource } from "./catalog.ts";

const PORTS = { OPS_PORT: "3010", INTERNAL_PORT: "3003" } as const;

const serverSettings = z.object({
  ...processSettings,
  ...catalogSettings,
  OPS_PORT: port()
    .prefault(PORTS.OPS_PORT)
    .meta({ description: "Port of the status pages, the API and the dashboard." }),
  OPS_HOST: z.string().default("0.0.0.0").meta({ description: "Address to listen on." }),
  OPS_USER: z.string().default("grp").meta({ description: "User name for basic authentication." }),
  OPS_PASSWORD: z
    .string()
    .min(8, "must have 8 characters or more")
    .optional()
    .meta({ description: "Password for basic authentication. Required unless OPS_ANONYMOUS is true." }),
  OPS_ANONYMOUS: flag().prefault("false").meta({
    description: "true: no password, for one's own machine only: OPS_HOST must be a loopback address.",
  }),
  OPS_READ_ONLY: flag().prefault("true").meta({
    description: "false: dead letters can be retried and dismissed, and the dashboard can change queues.",
  }),
  INTERNAL_PORT: port()
    .prefault(PORTS.INTERNAL_PORT)
    .meta({ description: "Port of /healthz, /readyz and /metrics." }),
});

export interface OpsConfig {
  readonly redisUrl: string;
  readonly port: number;
  readonly host: string;
  /** Absent: no authentication. */
  readonly credentials?: Credentials;
  readonly isReadOnly: boolean;
  readonly internalPort: number;
  readonly logLevel: (typeof LOG_LEVELS)[number];
  /** For the limits of a wait; the pages do without when it can't be read. */
  readonly catalog: CatalogSource;
}

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

const LOOPBACK = ["127.0.0.1", "::1", "localhost"];

/** A page that shows every queue, open to the network and without a password, must not start by oversight. */
const passwordOrLoopback: SettingRule = (given) => {
  if (given.OPS_PASSWORD) return undefined;
  if (readFlag(given.OPS_ANONYMOUS ?? "") !== true)
    return {
      name: "OPS_PASSWORD",
      problem: "is not set",
      remedy: "Set it, or OPS_ANONYMOUS=true with OPS_HOST=127.0.0.1 for one's own machine.",
    };
  if (LOOPBACK.includes(given.OPS_HOST ?? "")) return undefined;
  return {
    name: "OPS_HOST",
    problem: "must be a loopback address (127.0.0.1) when OPS_ANONYMOUS is true",
    remedy: "Or set OPS_PASSWORD.",
  };
};

/** Throws one `ConfigError` that names every fault. */
export function readOpsConfig(environment: Environment): OpsConfig {
  const given = readEnvironment(serverSettings, environment, [
    passwordOrLoopback,
    needsOwnPort("OPS_PORT", PORTS.OPS_PORT, PORTS.INTERNAL_PORT),
  ]);
  return {
    redisUrl: given.REDIS_URL,
    port: given.OPS_PORT,
    host: given.OPS_HOST,
    ...(given.OPS_PASSWORD ? { credentials: { user: given.OPS_USER, password: given.OPS_PASSWORD } } : {}),
    isReadOnly: given.OPS_READ_ONLY,
    internalPort: given.INTERNAL_PORT,
    logLevel: given.LOG_LEVEL,
    catalog: { runnersFile: given.RUNNERS_FILE, useCodemagic: given.USE_CODEMAGIC, environment },
  };
}

export const describeServerSettings = (): string => describeEnvironment(serverSettings);

const cliSettings = z.object({
  OPS_URL: url().prefault("http://127.0.0.1:3010").meta({ description: "Address of a running ops process." }),
  OPS_USER: z.string().default("grp").meta({ description: "Its user name." }),
  OPS_PASSWORD: z.string().optional().meta({ description: "Its password." }),
  WEBHOOK_TOKEN: z.string().optional().meta({ description: "The secret that deliveries are signed with." }),
  WEBHOOK_URL: url()
    .prefault("http://127.0.0.1:3000/webhook")
    .meta({ description: "Where deliveries are sent." }),
  ...catalogSettings,
});

/** What `grp` reads from the environment or `.env`. */
export interface CliConfig extends CatalogSource {
  readonly opsUrl: string;
  readonly credentials?: Credentials;
  readonly webhookToken?: string;
  readonly webhookUrl: string;
}

export function readCliConfig(environment: Environment): CliConfig {
  const given = readEnvironment(cliSettings, environment);
  return {
    opsUrl: given.OPS_URL,
    ...(given.OPS_PASSWORD ? { credentials: { user: given.OPS_USER, password: given.OPS_PASSWORD } } : {}),
    ...(given.WEBHOOK_TOKEN ? { webhookToken: given.WEBHOOK_TOKEN } : {}),
    webhookUrl: given.WEBHOOK_URL,
    runnersFile: given.RUNNERS_FILE,
    useCodemagic: given.USE_CODEMAGIC,
    environment,
  };
}

export const describeCliSettings = (): string => describeEnvironment(cliSettings);
