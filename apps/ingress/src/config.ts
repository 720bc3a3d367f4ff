import {
  about,
  catalogSettings,
  githubSettings,
  processSettings,
  readSettings,
  text,
  ticketSecret,
} from "@grp/config";
import type { Catalog } from "@grp/core";
import type { GitHubAuth } from "@grp/github";
import { type Environment, port, wholeNumber } from "@grp/runtime";
import { z } from "zod";

/** Every variable that the ingress reads. It has no cloud's credentials. */
export const settingsSchema = z.object({
  ...processSettings,
  WEBHOOK_TOKEN: about(text(), "The webhook's secret, as in GitHub's settings."),
  WEBHOOK_TOKEN_PREVIOUS: about(text().optional(), "Still accepted while you rotate the secret."),
  TICKET_SECRET: about(ticketSecret(), "Signs the machines' tickets; the same for ingress and worker."),
  TICKET_SECRET_PREVIOUS: about(ticketSecret().optional(), "Still accepted while you rotate it."),
  ...catalogSettings,
  ...githubSettings,
  AWS_IDENTITY_CERTIFICATES: about(
    text().optional(),
    "PEM file with further certificates that sign EC2 instance identity documents.",
  ),
  END_GRACE: about(wholeNumber(0, 600).prefault("15"), "Seconds for a finished machine to end by itself."),
  HOST: about(text().optional(), "Address to listen on; all of them without it."),
  PORT: about(port().prefault("3000"), "Public port: deliveries and claims."),
  INTERNAL_PORT: about(port().prefault("3001"), "Health and metrics."),
});

export type IngressConfig = z.infer<typeof settingsSchema> & {
  readonly catalog: Catalog;
  readonly githubAuth: GitHubAuth;
  readonly identityCertificates?: string;
};

/** Reads and checks everything before anything starts; throws one `ConfigError` that names every fault. */
export function readConfig(environment: Environment): IngressConfig {
  const { settings, contents, ...read } = readSettings(settingsSchema, environment, {
    files: ["AWS_IDENTITY_CERTIFICATES"],
  });
  const certificates = contents.get("AWS_IDENTITY_CERTIFICATES");
  return {
    ...settings,
    ...read,
    ...(certificates === undefined ? {} : { identityCertificates: certificates }),
  };
}
