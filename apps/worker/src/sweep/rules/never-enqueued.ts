import type { Demand, RunnerClass } from "@grp/core";
import { type Deed, failWithoutClass, type Rule } from "../rule.ts";
import { classOf, isPast } from "../world.ts";

/** Written down and in no queue: by an earlier version that died in between, or lost there. The queue takes it once, whoever adds it. */
export const neverEnqueued: Rule = {
  name: "never-enqueued",
  judge: (world) =>
    world.demands.flatMap(({ record: { demand, times }, isUnderWay }) => {
      if (isUnderWay || times.enqueued !== undefined || !isPast(world, times.received)) return [];
      const runnerClass = classOf(world, demand.runnerClass);
      return [runnerClass ? enqueue(runnerClass, demand) : failWithoutClass(demand)];
    }),
};

/** The offering that it named may have left the catalog: then it begins at the first. */
function enqueue({ offerings }: RunnerClass, demand: Demand): Deed {
  const named = offerings[demand.offeringIndex];
  const offeringIndex = named ? demand.offeringIndex : 0;
  const provider = (named ?? offerings[0])?.provider ?? "ec2";
  return { kind: "enqueue", demand: { ...demand, offeringIndex }, provider, why: "never enqueued" };
}
