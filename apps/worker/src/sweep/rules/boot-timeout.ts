import { limitsOf } from "@grp/core";
import type { RunnerStep } from "@grp/ledger";
import type { Deed, Rule } from "../rule.ts";
import { isPast, type World } from "../world.ts";

/** A machine that did not claim in time is ended, and counts no more; `missing` asks for another. */
export const bootTimeout: Rule = {
  name: "boot-timeout",
  judge: (world) => world.runners.flatMap((runner) => judgeRunner(world, runner)),
};

const BEFORE_CLAIM: readonly RunnerStep[] = ["launching", "launched", "booted"];

function judgeRunner(world: World, runner: World["runners"][number]): readonly Deed[] {
  const limit = limitsOf(world.catalog, runner.runnerClass).bootTimeout;
  const { step, times } = runner;
  // Its machine may have claimed although the provider's answer never came: then there is something to end.
  const isStarted = step !== "launching" || runner.instanceId !== undefined;
  if (!isStarted && isPast(world, times.launching, limit))
    return [{ kind: "give-up-launch", runner, text: "the provider has not answered" }];
  // One that waits for its turn at GitHub's limits has come, and will come again.
  const since = Math.max(times.launched ?? times.launching ?? 0, runner.comesBackAt ?? 0);
  if (isStarted && BEFORE_CLAIM.includes(step) && isPast(world, since, limit))
    return [{ kind: "retire", runner, reason: "boot-timeout", text: "its machine did not claim in time" }];
  return [];
}
