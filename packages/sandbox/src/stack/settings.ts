import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Sandbox } from "../sandbox.ts";

export interface World {
  readonly sandbox: Sandbox;
  readonly redisUrl: string;
  /** The ingress as machines reach it. */
  readonly publicUrl: string;
  readonly folder: string;
  /** `runners.yaml`. */
  readonly runnersFile: string;
}

/** The environment that `.env.example` explains, with the sandbox in place of the world and fresh secrets. */
export async function makeSettings({ sandbox, ...world }: World): Promise<Readonly<Record<string, string>>> {
  const secret = () => randomBytes(24).toString("base64url");
  const certificates = join(world.folder, "identity.pem");
  await writeFile(certificates, sandbox.machines.certificate);
  return {
    GRP_ENV_FILE: "none",
    REDIS_URL: world.redisUrl,
    PUBLIC_URL: world.publicUrl,
    RUNNERS_FILE: world.runnersFile,
    WEBHOOK_TOKEN: secret(),
    TICKET_SECRET: secret(),
    GITHUB_TOKEN: sandbox.github.token,
    GITHUB_API_URL: sandbox.github.url,
    CODEMAGIC_TOKEN: sandbox.codemagic.token,
    CODEMAGIC_API_URL: sandbox.codemagic.url,
    CODEMAGIC_V3_API_URL: sandbox.codemagic.v3Url,
    CODEMAGIC_APP_ID: sandbox.codemagic.appId,
    AWS_ENDPOINT_URL: sandbox.ec2.url,
    AWS_ENDPOINT_URL_EC2: sandbox.ec2.url,
    AWS_ENDPOINT_URL_SSM: sandbox.ec2.url,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "AKIASANDBOX",
    AWS_SECRET_ACCESS_KEY: "sandbox",
    AWS_IDENTITY_CERTIFICATES: certificates,
    ALLOWED_OWNERS: "acme",
    EC2_SUBNETS: "subnet-0000000000000000a,subnet-0000000000000000b",
    EC2_SECURITY_GROUPS: "sg-00000000000000000",
    OPS_HOST: "127.0.0.1",
    OPS_USER: "grp",
    OPS_PASSWORD: secret().slice(0, 12),
    LOG_LEVEL: "info",
  };
}

/** The variables of each App; they go before the token. */
export function makeAppSettings(apps: Sandbox["github"]["apps"]): Readonly<Record<string, string>> {
  const ofEach = apps.flatMap(({ appId, privateKey }, index) => {
    const suffix = index === 0 ? "" : `_${index + 1}`;
    return [
      [`GITHUB_APP_ID${suffix}`, String(appId)],
      [`GITHUB_APP_PRIVATE_KEY${suffix}`, privateKey],
    ];
  });
  return Object.fromEntries(ofEach) as Record<string, string>;
}
