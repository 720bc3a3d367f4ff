import { execFileSync, spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";

/**
 * What is measured has a core of its own, so that its figures are per core; the load generator and Redis share what is
 * left. Without `taskset` (macOS) the system decides.
 */
const hasTaskset = availableParallelism() >= 2 && spawnSync("taskset", ["-V"]).status === 0;

type Part = "server" | "second-server" | "load" | "redis";

function coresOf(part: Part): string {
  const last = availableParallelism() - 1;
  if (part === "server") return "0";
  if (part === "second-server" || part === "load") return "1";
  return last > 1 ? `2-${last}` : "1";
}

export const placement = hasTaskset
  ? `server on core ${coresOf("server")}, load generator on ${coresOf("load")}, Redis on ${coresOf("redis")}`
  : "not pinned to cores";

/** The command, held to its core. */
export function onCore(part: Part, command: readonly [string, ...string[]]): [string, ...string[]] {
  return hasTaskset ? ["taskset", "-c", coresOf(part), ...command] : [...command];
}

/** Holds a process that runs already, all its threads. */
export function moveToCore(part: Part, pid: number): void {
  if (hasTaskset)
    execFileSync("taskset", ["-a", "-c", "-p", coresOf(part), String(pid)], { stdio: "ignore" });
}
