import { scopeKey } from "@grp/core";
import type { ClassCount, RunnerRecord } from "@grp/ledger";
import type { Rule } from "../rule.ts";
import { isPast, mayBeBusy, type World } from "../world.ts";

/**
 * More idle runners than workflow jobs that wait for them: the longest idle are ended. Machines that still boot are
 * left alone, and no runner that is ready is ended for their sake; the claim refuses those that are too many by then.
 */
export const surplus: Rule = {
  name: "surplus",
  judge: (world) =>
    world.counts.flatMap((count) => {
      const { demand, supply } = count;
      const idle = idleOf(world, count);
      // Those within their grace time count, and are not ended.
      return idle
        .filter((runner) => isPast(world, idleSince(runner)))
        .slice(0, Math.max(Math.min(supply, idle.length) - demand, 0))
        .map((runner) => ({
          kind: "retire" as const,
          runner,
          reason: "surplus",
          text: "more runners were idle than workflow jobs waited",
        }));
    }),
};

function idleSince({ times }: RunnerRecord): number | undefined {
  return times.online ?? times.claimed;
}

/** The longest idle first. */
function idleOf(world: World, { runnerClass, scope }: ClassCount): readonly RunnerRecord[] {
  return world.runners
    .filter((runner) => runner.runnerClass === runnerClass && scopeKey(runner.scope) === scope)
    .filter((runner) => runner.step === "online" || runner.step === "claimed")
    .filter((runner) => !mayBeBusy(world, runner))
    .sort((a, b) => (idleSince(a) ?? 0) - (idleSince(b) ?? 0));
}
