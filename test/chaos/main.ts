import { appendFile } from "node:fs/promises";
import { createPlan } from "./plan.ts";
import { type ChaosReport, runChaos } from "./run.ts";

/**
 * `make chaos`: runs until RUNS are done or the time is over. SEED replays one; JOBS are the jobs of each; OUTPUT gets one
 * JSON line a run; KEEP is where the logs of a run that broke something are put.
 */
const { SEED, RUNS = "12", JOBS = "50", OUTPUT, KEEP = "/tmp/grp-chaos", MINUTES = "10" } = process.env;
const endAt = Date.now() + Number(MINUTES) * 60_000;
/** No run is begun that could not end in time. */
const LONGEST_RUN_MS = 110_000;

// Without a word of ours, Ctrl-C would end only this process.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));

const reports: ChaosReport[] = [];
const first = SEED ? Number(SEED) : Math.floor(Math.random() * 1_000_000);
const count = SEED && !process.env.RUNS ? 1 : Number(RUNS);
for (let seed = first; seed < first + count && Date.now() + LONGEST_RUN_MS < endAt; seed++) {
  const report = await runChaos(createPlan(seed, Number(JOBS)), { keepIn: KEEP });
  reports.push(report);
  tell(report);
  if (OUTPUT) await appendFile(OUTPUT, `${JSON.stringify(report)}\n`);
}
tellTotal();
process.exitCode = reports.every(({ violations }) => violations.length === 0) ? 0 : 1;

function tell(report: ChaosReport): void {
  const { seed, served, cancelled, told, alerts, violations, excused, folder } = report;
  const faults = Object.values(report.faults).reduce((sum, each) => sum + each, 0);
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
  console.log(
    [
      `${violations.length === 0 ? "ok  " : "FAIL"} SEED=${seed} (${report.as}${report.clockAheadMs > 0 ? `, a clock ${report.clockAheadMs} ms ahead` : ""})`,
      `${faults} faults, ${Object.values(report.machineFaults).length} kinds of bad machines`,
      `${served} served, ${cancelled} cancelled, ${told} told${told > 0 ? ` in ${alerts} alerts` : ""}`,
      `excused: ${tellCounts(excused)}`,
      `longest wait ${seconds(report.longestWaitMs)}, ${seconds(report.longestOverMs)} longer than it had to`,
      `${seconds(report.durationMs)}`,
    ].join(" · "),
  );
  for (const violation of violations) console.log(`       ${violation}`);
  if (folder) console.log(`       see ${folder}`);
}

function tellTotal(): void {
  const sum = (value: (report: ChaosReport) => number) =>
    reports.reduce((total, report) => total + value(report), 0);
  console.log(
    JSON.stringify({
      runs: reports.length,
      failed: reports.filter(({ violations }) => violations.length > 0).map(({ seed }) => seed),
      jobs: sum(({ jobs }) => jobs),
      served: sum(({ served }) => served),
      cancelled: sum(({ cancelled }) => cancelled),
      told: sum(({ told }) => told),
      leaks: sum(({ leaks }) => leaks),
      claims: addUp(reports.map(({ claims }) => claims)),
      runsWithSkew: reports.filter(({ clockAheadMs }) => clockAheadMs > 0).length,
      runsWithApps: reports.filter(({ as }) => as === "apps").length,
      faults: addUp(reports.map(({ faults }) => faults)),
      machineFaults: addUp(reports.map(({ machineFaults }) => machineFaults)),
      excused: addUp(reports.map(({ excused }) => excused)),
      doubleRegistrations: sum(({ doubleRegistrations }) => doubleRegistrations),
      longestWaitMs: Math.max(0, ...reports.map(({ longestWaitMs }) => longestWaitMs)),
      longestOverMs: Math.max(0, ...reports.map(({ longestOverMs }) => longestOverMs)),
    }),
  );
}

function tellCounts(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
  return parts.length > 0 ? parts.join(", ") : "nothing";
}

function addUp(counts: readonly Readonly<Record<string, number>>[]): Readonly<Record<string, number>> {
  const total: Record<string, number> = {};
  for (const [kind, count] of counts.flatMap((each) => Object.entries(each)))
    total[kind] = (total[kind] ?? 0) + count;
  return total;
}
