import { type RunnerClass, scopeKey } from "@grp/core";
import type { ClassCount } from "@grp/ledger";
import { countBootFailures, firstOffering } from "../../setbacks.ts";
import { type Deed, failWithoutClass, type Rule } from "../rule.ts";
import { classOf, isPast, type OpenDemand, type World } from "../world.ts";

/** Machines that never came, in a row, before a person must look. */
const MAX_BOOT_FAILURES = 3;

/** Whatever takes its machines away: nobody waits behind so many, unless a person asks for another try. */
export const MAX_GENERATIONS = 20;

/**
 * More workflow jobs wait than machines are there or on their way, and nobody is working on it: asks for what is
 * missing, oldest first, as a new generation. Asking for too much does no harm: a launch is opened only while the
 * count still wants it. One that GitHub says waits no more is not asked for: its delivery was late or lost.
 */
export const missing: Rule = {
  name: "missing",
  judge: (world) =>
    findMissing(world).flatMap((one) => {
      if (!isWaiting(world, one)) return [];
      const { demand } = one.record;
      const runnerClass = classOf(world, demand.runnerClass);
      return [runnerClass ? judgeDemand(runnerClass, one) : failWithoutClass(demand)];
    }),
};

/** The demands that would get another machine, by the counts alone. */
export function findMissing(world: World): readonly OpenDemand[] {
  return world.counts.flatMap((count) =>
    world.demands
      .filter((one) => isForgotten(world, one, count))
      .sort((a, b) => a.record.demand.queuedAt - b.record.demand.queuedAt)
      .slice(0, Math.max(count.demand - count.supply, 0)),
  );
}

/** Also when GitHub was not asked, or shows us nothing. */
function isWaiting({ workflowJobs }: World, { record }: OpenDemand): boolean {
  const job = workflowJobs.get(record.key);
  return !job || job.status === "queued";
}

function isForgotten(world: World, { record, isUnderWay }: OpenDemand, count: ClassCount): boolean {
  const { demand, times } = record;
  if (isUnderWay || times.enqueued === undefined || !isPast(world, times.enqueued)) return false;
  return demand.runnerClass === count.runnerClass && scopeKey(demand.scope) === count.scope;
}

function judgeDemand(runnerClass: RunnerClass, { record }: OpenDemand): Deed {
  const { demand, notes, revivedGeneration = 0 } = record;
  const failures = countBootFailures(notes);
  if (failures >= MAX_BOOT_FAILURES)
    return {
      kind: "fail",
      demand,
      errorClass: "boot",
      message: `${failures} machines were started and none came`,
    };
  if (demand.generation - revivedGeneration >= MAX_GENERATIONS)
    return {
      kind: "fail",
      demand,
      errorClass: "generations",
      message: `${demand.generation} machines, none for it`,
    };
  const offeringIndex = firstOffering(runnerClass, notes);
  const provider = runnerClass.offerings[offeringIndex]?.provider ?? "ec2";
  const next = { ...demand, generation: demand.generation + 1, offeringIndex };
  return { kind: "enqueue", demand: next, provider, why: "demand exceeds supply" };
}
