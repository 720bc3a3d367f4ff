import { FLAG_RULE, readFlag } from "@grp/core";
import { LOG_LEVELS, oneOf, redisUrl, rsaPrivateKey, type SettingRule } from "@grp/runtime";
import { z } from "zod";
import { githubApiUrl } from "./addresses.ts";

/** A setting and its line in `--help`. */
export const about = <T extends z.ZodType>(field: T, description: string): T => field.meta({ description });

export const text = () => z.string().min(1);

/** Yes or no; anything else is a fault, so that `DRY_RUN=ture` never launches. */
export const flag = () =>
  z.string().transform((word, context): boolean => {
    const value = readFlag(word);
    if (value === undefined) context.addIssue({ code: "custom", message: FLAG_RULE });
    return value ?? z.NEVER;
  });

/** HMAC keys shorter than the hash they feed add nothing but guessability (RFC 2104, section 3). */
const TICKET_SECRET_LENGTH = 32;

export const ticketSecret = () =>
  z.string().min(TICKET_SECRET_LENGTH, `must have ${TICKET_SECRET_LENGTH} characters or more`);

/** Two servers of one process can't have one port; 0 takes any free one. The numbers are what each has when it is not set. */
export function needsOwnPort(name: string, port: string, internalPort: string): SettingRule {
  return (given) => {
    const [own, internal] = [given[name] ?? port, given.INTERNAL_PORT ?? internalPort].map(Number);
    if (own !== internal || own === 0) return undefined;
    const remedy = "Each needs a port of its own";
    return { name: "INTERNAL_PORT", problem: `is ${internal}, and so is ${name}`, remedy };
  };
}

/** What every process reads. */
export const processSettings = {
  REDIS_URL: about(redisUrl(), "Redis or Valkey, the same for every process: redis://host:6379."),
  LOG_LEVEL: about(oneOf(...LOG_LEVELS).default("info"), "debug, info, warn or error."),
};

/** What finds the catalog, besides the variables that the file itself names. */
export const catalogSettings = {
  RUNNERS_FILE: about(text().default("runners.yaml"), "The catalog of runner classes."),
  USE_CODEMAGIC: about(flag().prefault("true"), "false takes every CodeMagic offering out."),
};

/**
 * GitHub Apps that share the work. Four register 720 runners a minute: more than EC2 starts machines, at its published
 * 1,000 and then 120 a minute.
 */
const MOST_APPS = 4;

/** One App's settings: `GITHUB_APP_ID`, and `GITHUB_APP_ID_2` of the second one. */
export const appSettings = Array.from({ length: MOST_APPS }, (_, index) => {
  const suffix = index === 0 ? "" : `_${index + 1}`;
  return {
    id: `GITHUB_APP_ID${suffix}`,
    key: `GITHUB_APP_PRIVATE_KEY${suffix}`,
    keyFile: `GITHUB_APP_PRIVATE_KEY_FILE${suffix}`,
  };
});

const furtherApps: Readonly<Record<string, z.ZodOptional>> = Object.fromEntries(
  appSettings.slice(1).flatMap(({ id, key, keyFile }) => [
    [id, about(text().optional(), "A further App, with limits of its own; it shares the work.")],
    [key, about(rsaPrivateKey().optional(), "Its private key.")],
    [keyFile, about(text().optional(), "… or a file that holds it.")],
  ]),
);

/** For those who talk to GitHub, and whose runners bear the installation's name. */
export const githubSettings = {
  GITHUB_TOKEN: about(text().optional(), "Personal access token; or GITHUB_APP_ID with its key."),
  GITHUB_APP_ID: about(text().optional(), "GitHub App that registers runners."),
  GITHUB_APP_PRIVATE_KEY: about(rsaPrivateKey().optional(), "The App's private key (PEM)."),
  GITHUB_APP_PRIVATE_KEY_FILE: about(text().optional(), "… or a file that holds it."),
  ...furtherApps,
  GITHUB_API_URL: about(
    githubApiUrl().default("https://api.github.com"),
    "GitHub's API; https://<host>/api/v3 on GHES.",
  ),
  GRP_INSTALLATION: about(
    z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,19}$/, "must be lower-case letters, digits and dashes, at most 20")
      .default("grp"),
    "Prefix of runner names and value of owner tags: one for each installation, the same for all its processes.",
  ),
};
