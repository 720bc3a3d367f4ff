import {
  about,
  catalogSettings,
  githubSettings,
  needsOwnPort,
  processSettings,
  readSettings,
  text,
  ticketSecret,
} from "@grp/config";
import type { Catalog } from "@grp/core";
import type { GitHubAuth } from "@grp/github";
import { type Environment, port, type SettingFault, wholeNumber } from "@grp/runtime";
import { z } from "zod";
import { type IdentityCertificates, readIdentityCertificates } from "./claims/identity-certificates.ts";

const CERTIFICATES = "AWS_IDENTITY_CERTIFICATES";
const PORTS = { PORT: "3000", INTERNAL_PORT: "3001" } as const;

/** Whoever guesses it orders machines. Below the first it is refused, below the second told at each start. */
const WEBHOOK_TOKEN_LENGTH = { least: 8, good: 16 } as const;

const webhookToken = () =>
  z.string().min(WEBHOOK_TOKEN_LENGTH.least, `must have ${WEBHOOK_TOKEN_LENGTH.least} characters or more`);

/** Every variable that the ingress reads. It has no cloud's credentials. */
export const settingsSchema = z.object({
  ...processSettings,
  WEBHOOK_TOKEN: about(webhookToken(), "The webhook's secret, as in GitHub's settings."),
  WEBHOOK_TOKEN_PREVIOUS: about(text().optional(), "Still accepted while you rotate the secret."),
  TICKET_SECRET: about(ticketSecret(), "Signs the machines' tickets; the same for ingress and worker."),
  TICKET_SECRET_PREVIOUS: about(ticketSecret().optional(), "Still accepted while you rotate it."),
  ...catalogSettings,
  ...githubSettings,
  [CERTIFICATES]: about(
    text().optional(),
    "PEM file with further certificates that sign EC2 instance identity documents, for regions that AWS has opened since.",
  ),
  END_GRACE: about(wholeNumber(0, 600).prefault("5"), "Seconds for a finished machine to end by itself."),
  HOST: about(text().optional(), "Address to listen on; all of them without it."),
  PORT: about(port().prefault(PORTS.PORT), "Public port: deliveries and claims."),
  INTERNAL_PORT: about(port().prefault(PORTS.INTERNAL_PORT), "Health and metrics."),
});

export type IngressConfig = z.infer<typeof settingsSchema> & {
  readonly catalog: Catalog;
  readonly githubAuth: GitHubAuth;
  readonly identityCertificates: IdentityCertificates;
};

/** Reads and checks everything before anything starts; throws one `ConfigError` that names every fault. */
export function readConfig(environment: Environment): IngressConfig {
  const { settings, contents, ...read } = readSettings(settingsSchema, environment, {
    files: [CERTIFICATES],
    rules: [
      ({ contents }) => checkCertificates(contents.get(CERTIFICATES)),
      ({ given }) => needsOwnPort("PORT", PORTS.PORT, PORTS.INTERNAL_PORT)(given),
      ({ given, catalog }) => (given[CERTIFICATES] ? undefined : checkRegions(catalog)),
    ],
  });
  const identityCertificates = readIdentityCertificates(contents.get(CERTIFICATES));
  return { ...settings, ...read, identityCertificates };
}

/** What works and should not stay so, in words for the log; undefined when there is nothing. */
export function findWeakness({
  WEBHOOK_TOKEN: token,
}: Pick<IngressConfig, "WEBHOOK_TOKEN">): string | undefined {
  if (token.length >= WEBHOOK_TOKEN_LENGTH.good) return undefined;
  return `WEBHOOK_TOKEN has fewer than ${WEBHOOK_TOKEN_LENGTH.good} characters and can be guessed: take a long random one`;
}

function checkCertificates(further: string | undefined): SettingFault | undefined {
  try {
    readIdentityCertificates(further);
    return undefined;
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { name: CERTIFICATES, problem, remedy: "It must hold certificates in PEM form" };
  }
}

/** A machine of a region whose signature can't be checked could never claim: better said before it is launched. */
function checkRegions(catalog: Catalog | undefined): SettingFault | undefined {
  const shipped = readIdentityCertificates();
  const offerings = catalog?.classes.flatMap(({ offerings }) => offerings) ?? [];
  const missing = new Set(
    offerings.flatMap((offering) =>
      offering.provider === "ec2" && shipped.ofRegion(offering.region).length === 0 ? [offering.region] : [],
    ),
  );
  if (missing.size === 0) return undefined;
  return {
    name: CERTIFICATES,
    problem: `is not set, and no certificate is shipped for ${[...missing].join(", ")}`,
    remedy: "Put the RSA-2048 certificate of AWS's page regions-certs into a file, and name it here",
  };
}
