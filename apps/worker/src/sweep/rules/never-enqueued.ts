import type { Rule } from "../rule.ts";
import { classOf, isPast } from "../world.ts";

/** Written down, and then the ingress died before the queue had it. The queue takes it once, whoever adds it. */
export const neverEnqueued: Rule = {
  name: "never-enqueued",
  judge: (world) =>
    world.demands.flatMap(({ record: { demand, times }, isUnderWay }) => {
      if (isUnderWay || times.enqueued !== undefined || !isPast(world, times.received)) return [];
      const provider = classOf(world, demand.runnerClass)?.offerings[demand.offeringIndex]?.provider;
      return provider ? [{ kind: "enqueue" as const, demand, provider, why: "never enqueued" }] : [];
    }),
};
