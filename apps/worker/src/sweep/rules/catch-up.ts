import { scopeKey } from "@grp/core";
import { RUNNER_STEPS, type RunnerStep } from "@grp/ledger";
import type { Deed, Rule } from "../rule.ts";
import type { World } from "../world.ts";

/** What GitHub says of a runner and no report or webhook told us: online, or busy. */
export const catchUp: Rule = {
  name: "catch-up",
  judge: (world) => world.runners.flatMap((runner) => judgeRunner(world, runner)),
};

function judgeRunner(world: World, runner: World["runners"][number]): readonly Deed[] {
  const known = world.registered.get(scopeKey(runner.scope));
  const found = known?.runners.find((one) => one.name === runner.runnerName);
  if (!found || (found.status === "offline" && !found.busy)) return [];
  const step: RunnerStep = found.busy ? "busy" : "online";
  if (RUNNER_STEPS.indexOf(step) <= RUNNER_STEPS.indexOf(runner.step)) return [];
  return [{ kind: "record-step", runnerName: runner.runnerName, step }];
}
