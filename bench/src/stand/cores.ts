import { execFileSync, spawnSync } from "node:child_process";

/**
 * What is measured has a core of its own, so that its figures are per core; the load generator and Redis share what is
 * left. A second server has its own only where there are four: next to Redis or the generator it would be slower than the
 * first, for their sake. Without `taskset` (macOS), or with one core, the system decides.
 */
const cores = findCores();
const hasCores = cores.length >= 2;

type Part = "server" | "second-server" | "load" | "redis";

/** Those that this process may run on: in a container they need not begin with 0. */
function findCores(): readonly string[] {
  const { status, stdout } = spawnSync("taskset", ["-c", "-p", String(process.pid)], { encoding: "utf8" });
  if (status !== 0) return [];
  const list = stdout.slice(stdout.lastIndexOf(":") + 1).trim();
  return list.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_none, at) => String(first + at));
  });
}

function coresOf(part: Part): string {
  const [first = "", second = "", third, ...others] = cores;
  const hasFour = third !== undefined && others.length > 0;
  const places: Readonly<Record<Part, string>> = {
    server: first,
    "second-server": hasFour ? third : first,
    load: second,
    redis: hasFour ? others.join(",") : (third ?? second),
  };
  return places[part];
}

export const placement = hasCores
  ? `server on core ${coresOf("server")} (a second on ${coresOf("second-server")}), load generator on ${coresOf("load")}, Redis on ${coresOf("redis")}`
  : "not pinned to cores";

/** The command, held to its core. */
export function onCore(part: Part, command: readonly [string, ...string[]]): [string, ...string[]] {
  return hasCores ? ["taskset", "-c", coresOf(part), ...command] : [...command];
}

/** Holds a process that runs already, all its threads. */
export function moveToCore(part: Part, pid: number): void {
  if (hasCores) execFileSync("taskset", ["-a", "-c", "-p", coresOf(part), String(pid)], { stdio: "ignore" });
}
