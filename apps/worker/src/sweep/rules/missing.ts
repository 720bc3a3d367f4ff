import { type RunnerClass, scopeKey } from "@grp/core";
import type { ClassCount, WorkflowJobRecord } from "@grp/ledger";
import {
  countBootFailures,
  countUnused,
  findBootFailure,
  firstOffering,
  sinceRevived,
} from "../../setbacks.ts";
import { type Deed, failWithoutClass, type Rule } from "../rule.ts";
import { classOf, isPast, type OpenDemand, type World } from "../world.ts";

/** Machines that never came, in a row, before a person must look. */
const MAX_BOOT_FAILURES = 3;

/** Whatever takes its machines away: nobody waits behind so many, unless a person asks for another try. */
export const MAX_GENERATIONS = 20;

/** Of a workflow job that GitHub does not show: the first may have come too early, the second waited in vain. */
const MAX_UNUSED = 2;

/** GitHub's copies of the truth agree within seconds: what it does not show in two looks so far apart, it has no more. */
const LOOKS_APART_MS = 5 * 60_000;
/** An older look says nothing: it may have been shown since. */
const LOOK_LASTS_MS = 60 * 60_000;
const NOT_SHOWN = "not-shown";

/**
 * More workflow jobs wait than machines are there or on their way, and nobody is working on it: asks for what is
 * missing, oldest first, as a new generation. Asking for too much does no harm: a launch is opened only while the
 * count still wants it. None for one that GitHub says waits no more: its delivery was late or lost; and not for ever for
 * one that GitHub does not show.
 */
export const missing: Rule = {
  name: "missing",
  judge: (world) =>
    findShortfalls(world)
      .flatMap((shortfall) => chooseServed(world, shortfall))
      .flatMap((one) => {
        const { demand } = one.record;
        const runnerClass = classOf(world, demand.runnerClass);
        return runnerClass ? judgeDemand(world, runnerClass, one) : failWithoutClass(demand);
      }),
};

export interface Shortfall {
  /** So many machines are missing, by the counts alone. */
  readonly machines: number;
  /** Those of the class and scope that nobody works on, the oldest first. */
  readonly forgotten: readonly OpenDemand[];
}

export function findShortfalls(world: World): readonly Shortfall[] {
  return world.counts
    .filter(({ demand, supply }) => demand > supply)
    .map((count) => ({
      machines: count.demand - count.supply,
      forgotten: world.demands
        .filter((one) => isForgotten(world, one, count))
        .sort((a, b) => a.record.demand.queuedAt - b.record.demand.queuedAt),
    }));
}

/**
 * Each that GitHub says has begun takes one off the count. While there are such, the ledger is behind, and those that
 * were not asked for wait for a later sweep; else the count is believed. So it is when GitHub can't be asked.
 */
function chooseServed({ workflowJobs }: World, { machines, forgotten }: Shortfall): readonly OpenDemand[] {
  const asked = forgotten.flatMap(({ record }) => workflowJobs.get(record.key) ?? []);
  const begun = asked.filter(({ status }) => status !== "queued").length;
  const mayServe = ({ record }: OpenDemand) => {
    // Null: GitHub shows us nothing of it, which proves nothing.
    const job = workflowJobs.get(record.key);
    return job ? job.status === "queued" : job === null || begun === 0;
  };
  return forgotten.filter(mayServe).slice(0, Math.max(machines - begun, 0));
}

function isForgotten(world: World, { record, isUnderWay }: OpenDemand, count: ClassCount): boolean {
  const { demand, times } = record;
  if (isUnderWay || times.enqueued === undefined || !isPast(world, times.enqueued)) return false;
  return demand.runnerClass === count.runnerClass && scopeKey(demand.scope) === count.scope;
}

function judgeDemand(world: World, runnerClass: RunnerClass, { record }: OpenDemand): readonly Deed[] {
  const { demand, notes, revivedGeneration = 0 } = record;
  const failures = countBootFailures(notes);
  if (failures >= MAX_BOOT_FAILURES) {
    const last = findBootFailure(notes)?.text;
    const message = `${failures} machines were started and none came${last ? `; of the last: ${last}` : ""}`;
    return [{ kind: "fail", demand, errorClass: "boot", message }];
  }
  if (world.workflowJobs.get(record.key) === null && countUnused(record) >= MAX_UNUSED)
    return judgeNotShown(world, record);
  if (demand.generation - revivedGeneration >= MAX_GENERATIONS) {
    const message = `${demand.generation} machines, none for it`;
    return [{ kind: "fail", demand, errorClass: "generations", message }];
  }
  const offeringIndex = firstOffering(runnerClass, notes);
  const provider = runnerClass.offerings[offeringIndex]?.provider ?? "ec2";
  const next = { ...demand, generation: demand.generation + 1, offeringIndex };
  return [{ kind: "enqueue", demand: next, provider, why: "demand exceeds supply" }];
}

/** Its run or repository was deleted, most likely, and no delivery told us. No machine more, and a person is told. */
function judgeNotShown({ now }: World, { key, demand, notes }: WorkflowJobRecord): readonly Deed[] {
  const looks = sinceRevived(notes).filter(({ kind, at }) => kind === NOT_SHOWN && now - at <= LOOK_LASTS_MS);
  if (looks.some(({ at }) => now - at >= LOOKS_APART_MS)) {
    const message = "GitHub knows this workflow job no more, or does not show it to our credentials";
    return [{ kind: "fail", demand, errorClass: NOT_SHOWN, message }];
  }
  if (looks.length > 0) return [];
  const text = "GitHub does not show this workflow job; no machine is started for it meanwhile";
  return [{ kind: "note-demand", key, note: { at: now, kind: NOT_SHOWN, text } }];
}
