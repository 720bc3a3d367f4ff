import { parse } from "yaml";

export interface BootFile {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
}

/** What a machine's first boot does: files to write, then commands one after the other. */
export interface BootPlan {
  readonly files: readonly BootFile[];
  readonly commands: readonly (readonly string[])[];
}

interface CloudConfig {
  write_files?: { path: string; content?: string; permissions?: string; encoding?: string }[];
  bootcmd?: (string | string[])[];
  runcmd?: (string | string[])[];
}

/**
 * Reads user data as cloud-init (and ec2-macos-init) would, as far as grp uses it: a script, or a `#cloud-config` with
 * `write_files` and `runcmd`.
 */
export function readUserData(text: string): BootPlan {
  if (text.startsWith("#!")) {
    const path = "/var/lib/cloud/instance/user-data.txt";
    return { files: [{ path, content: text, mode: 0o755 }], commands: [[path]] };
  }
  if (!text.startsWith("#cloud-config")) throw new Error(`Unknown kind of user data: ${text.slice(0, 40)}`);
  const config = (parse(text) ?? {}) as CloudConfig;
  return {
    files: (config.write_files ?? []).map((file) => ({
      path: file.path,
      content: decode(file.content ?? "", file.encoding ?? "text/plain"),
      mode: Number.parseInt(file.permissions ?? "0644", 8),
    })),
    commands: [...(config.bootcmd ?? []), ...(config.runcmd ?? [])].map((command) =>
      typeof command === "string" ? ["sh", "-c", command] : command.map(String),
    ),
  };
}

function decode(content: string, encoding: string): string {
  return ["b64", "base64"].includes(encoding) ? Buffer.from(content, "base64").toString("utf8") : content;
}

/** The same plan in a throwaway folder: absolute paths of its own files and of `/opt/grp` are moved there. */
export function relocate(plan: BootPlan, folder: string): BootPlan {
  const moved = new Map(plan.files.map(({ path }) => [path, `${folder}/fs${path}`]));
  const moveAll = (text: string) => {
    let result = text;
    for (const [from, to] of moved) result = result.replaceAll(from, to);
    return result;
  };
  return {
    files: plan.files.map((file) => ({ ...file, path: moved.get(file.path) ?? file.path })),
    commands: plan.commands.map((command) => command.map(moveAll)),
  };
}
