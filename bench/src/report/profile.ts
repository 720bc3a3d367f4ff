import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Starting up is over by then, and the hot paths are compiled. */
const SKIPPED_US = 4_000_000;

/** The functions that took most of the CPU time by themselves, of every `.cpuprofile` in the folder, and the same by library. */
export function describeProfiles(folder: string, most = 25): string {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".cpuprofile"))
    .map((name) => `${name}\n${describe(JSON.parse(readFileSync(join(folder, name), "utf8")), most)}`)
    .join("\n\n");
}

function describe({ nodes, samples, timeDeltas }: CpuProfile, most: number): string {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const [byFunction, byLibrary] = [new Map<string, number>(), new Map<string, number>()];
  let [total, elapsed] = [0, 0];
  for (const [at, id] of samples.entries()) {
    const frame = frames.get(id);
    const us = timeDeltas[at] ?? 0;
    elapsed += us;
    if (!frame || frame.functionName === "(idle)" || elapsed < SKIPPED_US) continue;
    total += us;
    const library = libraryOf(frame.url);
    add(byLibrary, library, us);
    add(byFunction, `${frame.functionName || "(anonymous)"} · ${library}${placeOf(frame)}`, us);
  }
  const list = (times: ReadonlyMap<string, number>) =>
    [...times]
      .sort(([, a], [, b]) => b - a)
      .slice(0, most)
      .map(([name, us]) => `${((us / total) * 100).toFixed(1).padStart(6)} %  ${name}`)
      .join("\n");
  return `${list(byFunction)}\n  by library\n${list(byLibrary)}`;
}

function add(times: Map<string, number>, name: string, us: number): void {
  times.set(name, (times.get(name) ?? 0) + us);
}

function libraryOf(url: string): string {
  if (url.startsWith("node:")) return url;
  const [, library] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url) ?? [];
  if (library) return library;
  return /((?:apps|packages)\/.+)$/.exec(url)?.[1] ?? "native";
}

function placeOf({ url, lineNumber }: { url: string; lineNumber: number }): string {
  return url === "" ? "" : ` ${url.split("/").at(-1)}:${lineNumber + 1}`;
}
