import { readFileSync } from "node:fs";

export type BootPlatform = "linux" | "macos" | "codemagic";

const read = (name: string) => readFileSync(new URL(`./${name}.sh`, import.meta.url), "utf8");

/** The boot script of one platform as it is written, comments and all: what shellcheck reads. */
export function bootSource(platform: BootPlatform): string {
  return `#!/bin/bash\n${read(platform)}${read("core")}`;
}

/** The boot script without whole-line comments and blank lines, without the shebang: user data holds 16 KB. */
export function bootBody(platform: BootPlatform): string {
  const lines = bootSource(platform).split("\n");
  return `${lines.filter((line) => line.trim() !== "" && !line.trimStart().startsWith("#")).join("\n")}\n`;
}
