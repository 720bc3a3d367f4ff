import type { StandInWorkflowJob } from "../../packages/sandbox/src/index.ts";
import type { Stack } from "../../packages/sandbox/src/stack/index.ts";
import type { InflictedFault } from "./faults.ts";
import type { ChaosPlan } from "./plan.ts";

interface Span {
  readonly from: number;
  readonly until: number;
}

/** The slowest boot here. */
const BOOT_MS = 1_500;

/**
 * The longest wait, and the longest that a job waited over what it had to. It has to wait for a boot, and while something
 * was done to the product or its world, a machine of its class was a bad one, or there was no room under a cap.
 */
export function measureWaits(
  stack: Stack,
  { plan, faults }: { readonly plan: ChaosPlan; readonly faults: readonly InflictedFault[] },
): { readonly longestWaitMs: number; readonly longestOverMs: number } {
  const machines = listMachines(stack);
  const excusesOf = (label: string) => {
    const ofClass = machines.filter((machine) => machine.runnerClass === label);
    const builds = label === "linux" ? [] : machines.filter(({ isBuild }) => isBuild);
    return [
      ...faults,
      ...ofClass.filter(({ isBad }) => isBad),
      ...whenFull(ofClass, plan.maxRunners),
      ...whenFull(builds, plan.concurrentBuilds),
    ];
  };
  const excuses = new Map(["linux", "mac", "mixed"].map((label) => [label, excusesOf(label)]));
  const waits = stack.sandbox.github
    .workflowJobs()
    .filter(({ startedAt }) => startedAt !== undefined)
    .map((job) => measure(job, excuses.get(job.labels[0] ?? "") ?? []));
  return {
    longestWaitMs: Math.max(0, ...waits.map(({ waitMs }) => waitMs)),
    longestOverMs: Math.max(0, ...waits.map(({ overMs }) => overMs)),
  };
}

function measure({ queuedAt, startedAt = queuedAt }: StandInWorkflowJob, excuses: readonly Span[]) {
  const waitMs = startedAt - queuedAt;
  const excusedMs = coveredMs(excuses, { from: queuedAt, until: startedAt });
  return { waitMs, overMs: Math.max(0, waitMs - excusedMs - BOOT_MS) };
}

interface Machine extends Span {
  readonly runnerClass: string;
  readonly isBuild: boolean;
  readonly isBad: boolean;
}

function listMachines({ sandbox: { ec2, codemagic, machines } }: Stack): readonly Machine[] {
  return machines.records.map(({ id, kind, startedAt, endedAt = Number.POSITIVE_INFINITY, exitCode }) => {
    const label = codemagic.get(id)?.labels.find((one) => one.startsWith("grp-class:"));
    return {
      runnerClass: ec2.get(id)?.tags["grp:class"] ?? label?.slice("grp-class:".length) ?? "",
      isBuild: kind === "build",
      // Anything but a job run to its end, or a polite refusal.
      isBad: exitCode !== 0,
      from: startedAt,
      until: endedAt,
    };
  });
}

/** When as many of them lived as may. */
export function whenFull(spans: readonly Span[], limit: number): readonly Span[] {
  const turns = spans
    .flatMap(({ from, until }) => [
      { at: from, by: 1 },
      { at: until, by: -1 },
    ])
    .sort((one, other) => one.at - other.at || one.by - other.by);
  const full: Span[] = [];
  let count = 0;
  for (const [index, { at, by }] of turns.entries()) {
    count += by;
    const next = turns[index + 1];
    if (count >= limit && next) full.push({ from: at, until: next.at });
  }
  return full;
}

/** How much of a span the others cover together. */
export function coveredMs(spans: readonly Span[], { from, until }: Span): number {
  let covered = 0;
  let end = from;
  for (const span of [...spans].sort((one, other) => one.from - other.from)) {
    const begin = Math.max(span.from, end);
    end = Math.max(end, Math.min(span.until, until));
    covered += Math.max(0, end - begin);
  }
  return covered;
}
