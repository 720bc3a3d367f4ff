import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Stack } from "../../packages/sandbox/src/stack/index.ts";
import { getFromOps } from "./ops.ts";

/** What must be nowhere: by name, and what it looks like. */
export interface Secret {
  readonly name: string;
  readonly text: string;
}

const SETTINGS = [
  "WEBHOOK_TOKEN",
  "TICKET_SECRET",
  "GITHUB_TOKEN",
  "CODEMAGIC_TOKEN",
  "AWS_SECRET_ACCESS_KEY",
  "OPS_PASSWORD",
  "ALERT_WEBHOOK_URL",
];
const KEYS = /^GITHUB_APP_PRIVATE_KEY(_\d+)?$/;

/** Whatever the product was given and its machines were handed: `granted` are registrations and report tickets. */
export function collectSecrets({ settings, sandbox }: Stack, granted: readonly string[]): readonly Secret[] {
  const given = SETTINGS.map((name) => ({ name, text: settings[name] ?? "" }));
  // A key's line, for where its lines are no lines any more.
  const keys = Object.entries(settings)
    .filter(([name]) => KEYS.test(name))
    .map(([name, text]) => ({ name, text: text.split("\n")[2] ?? "" }));
  const tickets = [
    ...sandbox.ec2.instances().map(({ userData }) => /GRP_TICKET='([^']+)'/.exec(userData)?.[1] ?? ""),
    ...sandbox.codemagic.builds().map(({ variables }) => variables.GRP_TICKET ?? ""),
  ];
  return [
    ...given,
    ...keys,
    ...tickets.map((text) => ({ name: "ticket", text })),
    ...granted.map((text) => ({ name: "registration or report ticket", text })),
  ].filter(({ text }) => text !== "");
}

/** GitHub's signature of a delivery, wherever it stands. */
const SIGNATURE = /sha256=[0-9a-f]{64}/;
/** What an App gets for its key. */
const INSTALLATION_TOKEN = /ghs_\d+_[\w-]{40}/;

/** Every secret in any of the texts: `<name> in <where>`. */
export function findSecrets(
  secrets: readonly Secret[],
  texts: readonly { readonly where: string; readonly text: string }[],
): readonly string[] {
  return texts.flatMap(({ where, text }) => {
    const found = new Set(secrets.filter((secret) => text.includes(secret.text)).map(({ name }) => name));
    if (SIGNATURE.test(text)) found.add("signature");
    if (INSTALLATION_TOKEN.test(text)) found.add("installation token");
    return [...found].map((name) => `${name} in ${where}`);
  });
}

/**
 * All that was ever written: every process's log, and Redis's append-only file, which holds each change that was made,
 * what has been deleted since too.
 */
export async function readWritings(folder: string): Promise<readonly { where: string; text: string }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && /\.(log|aof|rdb)$/.test(entry.name));
  return Promise.all(
    files.map(async ({ name, parentPath }) => ({
      where: name,
      text: await readFile(join(parentPath, name), "latin1"),
    })),
  );
}

/** What people can look at. */
export async function readPages(
  stack: Stack,
  keys: readonly string[],
): Promise<readonly { where: string; text: string }[]> {
  const paths = ["/", "/metrics", "/api/status", "/api/dead", "/api/workflow-jobs?limit=500"].concat(
    ["ec2", "codemagic"].map((name) => `/queues/api/queues?activeQueue=grp-${name}&status=latest&page=1`),
    keys.map((key) => `/workflow-jobs/${key}`),
  );
  return Promise.all(
    paths.map(async (path) => ({ where: `ops ${path}`, text: await (await getFromOps(stack, path)).text() })),
  );
}
