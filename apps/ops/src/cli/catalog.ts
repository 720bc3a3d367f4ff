import type { Catalog } from "@grp/core";
import { loadCatalog, loadText } from "../catalog.ts";
import type { CliConfig } from "../config.ts";
import { CliError } from "./failure.ts";

/** The file's text, or a sentence that says why not. */
export async function readText(file: string): Promise<string> {
  const loaded = await loadText(file);
  if (loaded.ok) return loaded.value;
  throw new CliError(loaded.why);
}

/** The catalog, or one `CliError` with every fault on a line of its own. */
export async function readCatalog(config: CliConfig, file?: string): Promise<Catalog> {
  const loaded = await loadCatalog({ ...config, runnersFile: file ?? config.runnersFile });
  if (loaded.ok) return loaded.value;
  throw new CliError(file === undefined ? `${loaded.why} (the catalog that RUNNERS_FILE names)` : loaded.why);
}
