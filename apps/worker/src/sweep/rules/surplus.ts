import { scopeKey } from "@grp/core";
import type { ClassCount, RunnerRecord } from "@grp/ledger";
import type { Rule } from "../rule.ts";
import { isPast, mayBeBusy, type World } from "../world.ts";

/**
 * More idle runners than workflow jobs that wait for them: the longest idle are ended. Machines that still boot are
 * left alone; the claim refuses those that are too many by then.
 */
export const surplus: Rule = {
  name: "surplus",
  judge: (world) =>
    world.counts.flatMap((count) =>
      idleOf(world, count)
        .slice(0, Math.max(count.supply - count.demand, 0))
        .map((runner) => ({
          kind: "retire" as const,
          runner,
          reason: "surplus",
          text: "more runners were idle than workflow jobs waited",
        })),
    ),
};

function idleOf(world: World, { runnerClass, scope }: ClassCount): readonly RunnerRecord[] {
  const since = ({ times }: RunnerRecord) => times.online ?? times.claimed;
  return world.runners
    .filter((runner) => runner.runnerClass === runnerClass && scopeKey(runner.scope) === scope)
    .filter((runner) => runner.step === "online" || runner.step === "claimed")
    .filter((runner) => isPast(world, since(runner)) && !mayBeBusy(world, runner))
    .sort((a, b) => (since(a) ?? 0) - (since(b) ?? 0));
}
