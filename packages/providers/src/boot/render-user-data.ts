import type { Ec2Offering, LaunchOrder } from "@grp/core";
import { InvalidSpecError } from "@grp/core";
import { bootBody } from "./script.ts";

/** EC2's limit on user data, before base64. */
export const USER_DATA_LIMIT = 16_384;

const SCRIPT_PATH = "/opt/grp/boot.sh";
const MARGIN = "   ";

/**
 * What EC2 hands to the machine: `#cloud-config` for Linux (`cloud-init schema` accepts it), a plain script for macOS.
 * The same order gives the same bytes, for EC2's idempotency compares them. Holds the ticket: never log it.
 */
export function renderUserData(order: LaunchOrder<Ec2Offering>): string {
  const { os } = order.runnerClass.platform;
  const script = `#!/bin/bash\n${assignments(order)}${bootBody(os)}`;
  const userData = os === "linux" ? cloudConfig(script) : script;
  const size = Buffer.byteLength(userData);
  if (size > USER_DATA_LIMIT)
    throw new InvalidSpecError(`user data has ${size} bytes, EC2 takes ${USER_DATA_LIMIT}`, {
      code: "user-data-too-long",
    });
  return userData;
}

/** The boot script inside of rendered user data, as the machine would run it. */
export function extractBootScript(userData: string): string {
  if (userData.startsWith("#!")) return userData;
  const [, content = ""] = userData.split("  content: |\n");
  const lines = content.split("\n");
  const end = lines.findIndex((line) => !line.startsWith(MARGIN));
  return `${lines
    .slice(0, end)
    .map((line) => line.slice(MARGIN.length))
    .join("\n")}\n`;
}

function cloudConfig(script: string): string {
  const content = script.trimEnd().split("\n").join(`\n${MARGIN}`);
  return [
    "#cloud-config",
    "write_files:",
    `- path: ${SCRIPT_PATH}`,
    '  permissions: "0700"',
    "  content: |",
    `${MARGIN}${content}`,
    "runcmd:",
    `- [bash, ${SCRIPT_PATH}]`,
    "",
  ].join("\n");
}

function assignments({ boot, launchId, runnerClass }: LaunchOrder<Ec2Offering>): string {
  const values = {
    GRP_URL: boot.publicUrl,
    GRP_TICKET: boot.ticket,
    GRP_LAUNCH: launchId,
    GRP_BOOT_TIMEOUT: seconds(boot.bootTimeoutMs),
    GRP_IDLE_TIMEOUT: seconds(boot.idleTimeoutMs),
    GRP_MAX_RUNTIME: seconds(boot.maxRuntimeMs),
    GRP_EXPOSE_METADATA: runnerClass.exposeMetadata ? "1" : "0",
  };
  return Object.entries(values)
    .map(([name, value]) => `${name}=${quote(value)}\n`)
    .join("");
}

/** Whole seconds, as the boot script counts them. */
export function seconds(ms: number): string {
  return String(Math.ceil(ms / 1000));
}

/** One shell word whatever the value holds; a line break would break the YAML around it. */
function quote(value: string): string {
  if (/[^\x20-\x7e]/.test(value))
    throw new InvalidSpecError("a boot parameter holds a character that is not printable ASCII", {
      code: "boot-parameter",
    });
  return `'${value.replaceAll("'", `'\\''`)}'`;
}
