import { parseDemandJobId } from "@grp/core";
import type { LaunchRecord } from "./types.ts";

/** A launch may be for a hundred workflow jobs: those of its runners that were meant for this one. */
export function runnerNamesFor({ placeHolders, runnerNames }: LaunchRecord, key: string): readonly string[] {
  return runnerNames.filter((_name, index) => parseDemandJobId(placeHolders[index] ?? "").key === key);
}
