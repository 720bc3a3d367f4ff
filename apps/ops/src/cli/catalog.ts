import { readFile } from "node:fs/promises";
import { type Catalog, formatFault, parseCatalog } from "@grp/core";
import type { CliConfig } from "../config.ts";
import { CliError } from "./failure.ts";

/** The file's text, or a sentence that says why not. */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT") throw new CliError(`${file}: no such file`);
    if (code === "EISDIR") throw new CliError(`${file} is a folder`);
    if (code === "EACCES") throw new CliError(`${file}: not allowed to read it`);
    throw error;
  }
}

/** The catalog, or one `CliError` with every fault on a line of its own. */
export async function readCatalog(config: CliConfig, file = config.runnersFile): Promise<Catalog> {
  const verdict = parseCatalog(await readText(file), {
    env: config.environment,
    useCodemagic: config.useCodemagic,
  });
  if (verdict.ok) return verdict.catalog;
  const lines = verdict.faults.map((fault) => formatFault(file, fault));
  const count = lines.length === 1 ? "1 fault" : `${lines.length} faults`;
  throw new CliError([...lines, count].join("\n"));
}
