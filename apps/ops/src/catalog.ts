import { readFile } from "node:fs/promises";
import { type Catalog, formatFault, parseCatalog } from "@grp/core";
import type { Environment } from "@grp/runtime";

export interface CatalogSource {
  readonly runnersFile: string;
  readonly useCodemagic: boolean;
  /** Fills in the catalog's `${NAME}`. */
  readonly environment: Environment;
}

export type Loaded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly why: string };

/** The catalog, or every fault on a line of its own. */
export async function loadCatalog(source: CatalogSource): Promise<Loaded<Catalog>> {
  const { runnersFile, environment, useCodemagic } = source;
  const text = await loadText(runnersFile);
  if (!text.ok) return text;
  const verdict = parseCatalog(text.value, { env: environment, useCodemagic });
  if (verdict.ok) return { ok: true, value: verdict.catalog };
  const lines = verdict.faults.map((fault) => formatFault(runnersFile, fault));
  const count = lines.length === 1 ? "1 fault" : `${lines.length} faults`;
  return { ok: false, why: [...lines, count].join("\n") };
}

/** The file's text, or a sentence that says why not. */
export async function loadText(file: string): Promise<Loaded<string>> {
  try {
    return { ok: true, value: await readFile(file, "utf8") };
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    const code = String(error.code);
    return { ok: false, why: `${file}${WORDS[code] ?? ` can't be read (${code})`}` };
  }
}

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: ": no such file",
  ENOTDIR: ": no such file",
  EISDIR: " is a folder",
  EACCES: ": not allowed to read it",
};
