import type { RunnerRecord } from "@grp/ledger";
import type { Rule } from "../rule.ts";
import { isPast, listedAround, type World } from "../world.ts";

/** Its machine reported that the provider takes it back, and no workflow job has begun on it: another is needed now. */
export const interrupted: Rule = {
  name: "interrupted",
  judge: (world) =>
    world.runners
      .filter(
        ({ step }) => step === "launched" || step === "booted" || step === "claimed" || step === "online",
      )
      .filter((runner) => isTakenBack(world, runner))
      .map((runner) => ({
        kind: "retire" as const,
        runner,
        reason: "interrupted",
        text: "the provider takes its machine back",
      })),
};

/** A mere `notice` may be from another machine of its launch: believed when the provider's list bears it out. */
function isTakenBack(world: World, runner: RunnerRecord): boolean {
  const has = (kind: string) => runner.notes.some((note) => note.kind === kind);
  return has("interrupted") || (has("notice") && isEnding(world, runner));
}

function isEnding(world: World, runner: RunnerRecord): boolean {
  const { instanceId, times } = runner;
  const listed = listedAround(world, runner);
  if (!listed || instanceId === undefined) return false;
  const found = listed.find((instance) => instance.instanceId === instanceId);
  return found ? found.state === "terminating" : isPast(world, times.launched);
}
