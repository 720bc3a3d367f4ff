import { limitsOf } from "@grp/core";
import { endRunner, type Rule } from "../rule.ts";
import { isPast } from "../world.ts";

/** Runs for longer than its class allows: the one case in which a busy runner is ended. */
export const maxRuntime: Rule = {
  name: "max-runtime",
  judge: (world) =>
    world.runners
      .filter(({ times, runnerClass }) =>
        isPast(world, times.busy ?? times.claimed, limitsOf(world.catalog, runnerClass).maxRuntime),
      )
      .map((runner) => endRunner(runner, "max-runtime")),
};
