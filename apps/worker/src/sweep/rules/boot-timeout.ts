import { limitsOf } from "@grp/core";
import type { Deed, Rule } from "../rule.ts";
import { isPast, type World } from "../world.ts";

/** A machine that did not claim in time is ended, and counts no more; `missing` asks for another. */
export const bootTimeout: Rule = {
  name: "boot-timeout",
  judge: (world) => world.runners.flatMap((runner) => judgeRunner(world, runner)),
};

function judgeRunner(world: World, runner: World["runners"][number]): readonly Deed[] {
  const limit = limitsOf(world.catalog, runner.runnerClass).bootTimeout;
  const { step, times } = runner;
  if (step === "launching" && isPast(world, times.launching, limit))
    return [{ kind: "give-up-launch", runner, text: "the provider has not answered" }];
  // One that waits for its turn at GitHub's limits has come, and will come again.
  const since = Math.max(times.launched ?? 0, runner.comesBackAt ?? 0);
  if ((step === "launched" || step === "booted") && isPast(world, since, limit))
    return [{ kind: "retire", runner, reason: "boot-timeout", text: "its machine did not claim in time" }];
  return [];
}
