import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** CPU time of a process so far, user and system, in ms: to 10 ms on Linux, to a second elsewhere. */
export function cpuMsOf(pid: number): number {
  if (process.platform !== "linux") return psCpuMs(pid);
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // After the name in parentheses, which may hold spaces; utime and stime are fields 14 and 15, in ticks of 10 ms.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function psCpuMs(pid: number): number {
  const time = execFileSync("ps", ["-o", "time=", "-p", String(pid)], { encoding: "utf8" }).trim();
  return time.split(":").reduce((total, part) => total * 60 + Number(part), 0) * 1_000;
}

/** Resident memory in MiB. */
export function rssMiBOf(pid: number): number {
  return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) / 1_024;
}
