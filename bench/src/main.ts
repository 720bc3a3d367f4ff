// `make bench`: measures every row, or those that the arguments name, round by round, and tells the medians.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { describeMachine } from "./report/machine.ts";
import { describeProfiles } from "./report/profile.ts";
import { summarise } from "./report/results.ts";
import { formatNumber, formatTable } from "./report/table.ts";
import type { Measure, Row } from "./row.ts";
import { rows } from "./rows/index.ts";
import { createStand, type Stand } from "./stand/stand.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    minutes: { type: "string", default: "10" },
    json: { type: "string", default: ".grp/bench.json" },
    /** A folder for CPU profiles of the servers. They slow them down: the figures are not worth much then. */
    profile: { type: "string" },
  },
});

/** Those asked for and their baselines; all without a name. */
function chooseRows(names: readonly string[]): readonly Row[] {
  const unknown = names.filter((name) => !rows.some((row) => row.name === name));
  if (unknown.length > 0)
    throw new Error(`no row ${unknown.join(", ")}; there are ${rows.map((row) => row.name).join(", ")}`);
  const wanted = new Set(names);
  for (const row of rows.toReversed()) if (wanted.has(row.name) && row.baseline) wanted.add(row.baseline);
  return names.length === 0
    ? rows.filter((row) => !row.isOnRequest)
    : rows.filter((row) => wanted.has(row.name));
}

/** For a row that was begun in time. */
const GRACE_MS = 60_000;

/** What went wrong, by row; the others go on. */
const failures = new Map<string, string>();

interface Taking {
  readonly stand: Stand;
  /** By row name; a round in which the row failed is left out of its list. */
  readonly measures: Map<string, Measure[]>;
  readonly endsAt: number;
}

/** Every row once, then again and again: what disturbs the machine for a while disturbs all rows alike. */
async function measureAll(chosen: readonly Row[], stand: Stand): Promise<Map<string, Measure[]>> {
  const measures = new Map<string, Measure[]>(chosen.map((row) => [row.name, []]));
  const endsAt = performance.now() + Number(values.minutes) * 60_000;
  let longestMs = 0;
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const begun = performance.now();
    const due = chosen.filter((row) => round === 0 || !row.isOnce);
    for (const row of due) await measureOne(row, round, { stand, measures, endsAt });
    longestMs = Math.max(longestMs, performance.now() - begun);
    if (performance.now() + longestMs > endsAt) break;
  }
  return measures;
}

async function measureOne(row: Row, round: number, { stand, measures, endsAt }: Taking): Promise<void> {
  try {
    if (performance.now() > endsAt) throw new Error("no time was left");
    const measure = await withinTime(row.measure(stand), endsAt);
    const taken = measures.get(row.name);
    // In its round's place, so that it is compared with the baseline of the same round.
    if (taken) taken[round] = measure;
    console.error(`round ${round + 1}: ${row.name} ${formatNumber(measure.value)} ${row.unit}`);
  } catch (error) {
    failures.set(row.name, error instanceof Error ? error.message : String(error));
    console.error(`round ${round + 1}: ${row.name} failed: ${failures.get(row.name)}`);
  }
}

/** What hangs is left behind, for the end of this process to end. */
function withinTime(measuring: Promise<Measure>, endsAt: number): Promise<Measure> {
  const over = sleep(endsAt + GRACE_MS - performance.now(), undefined, { ref: false }).then(() => {
    throw new Error("the time was over");
  });
  return Promise.race([measuring, over]);
}

// So that what was started is ended too.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
const chosen = chooseRows(positionals);
const stand = await createStand(values.profile);
try {
  const machine = await describeMachine(stand.redis.client);
  const results = summarise(chosen, await measureAll(chosen, stand));
  mkdirSync(dirname(values.json), { recursive: true });
  writeFileSync(
    values.json,
    `${JSON.stringify({ machine, rows: results, failures: Object.fromEntries(failures) }, null, 2)}\n`,
  );
  for (const [name, why] of failures) console.log(`${name} failed: ${why}`);
  if (failures.size > 0) process.exitCode = 1;
  console.log(`${formatTable(results)}\n\n${JSON.stringify(machine)}\nwritten to ${values.json}`);
} finally {
  await stand.close();
}
if (values.profile !== undefined) console.log(describeProfiles(values.profile));
// What was left behind when the time was over would keep us.
process.exit();
