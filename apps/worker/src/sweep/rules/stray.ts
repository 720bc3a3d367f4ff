import type { Deed, Rule } from "../rule.ts";
import { isPast, type Stray, type World } from "../world.ts";

/** A machine that bears our tag and is no live runner's: ended, unless its launch's answer is still outstanding. */
export const stray: Rule = {
  name: "stray",
  judge: (world) => world.strays.flatMap((one) => judgeStray(world, one)),
};

function judgeStray(world: World, { instance, launch }: Stray): readonly Deed[] {
  if (instance.state === "terminating" || launch?.state === "open") return [];
  if (!isPast(world, instance.launchedAt)) return [];
  const { instanceId, provider } = instance;
  const launchId = instance.launchId || "unknown";
  // Named by its instance, since a launch may leave several behind.
  return [
    { kind: "end", runnerName: `stray-${instanceId}`, launchId, provider, instanceId, reason: "stray" },
  ];
}
