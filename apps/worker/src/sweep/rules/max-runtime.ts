import { endRunner, type Rule } from "../rule.ts";
import { classOf, isPast } from "../world.ts";

/** Runs for longer than its class allows: the one case in which a busy runner is ended. */
export const maxRuntime: Rule = {
  name: "max-runtime",
  judge: (world) =>
    world.runners
      .filter(({ times, runnerClass }) => {
        const limit = classOf(world, runnerClass)?.maxRuntime;
        return limit !== undefined && isPast(world, times.busy ?? times.claimed, limit);
      })
      .map((runner) => endRunner(runner, "max-runtime")),
};
