import { scopeKey } from "@grp/core";
import type { Rule } from "../rule.ts";
import { isPast, type World } from "../world.ts";

/** Fetching and unpacking the runner program takes a minute or two; a registration that nobody used dies soon after. */
const ONLINE_LIMIT_MS = 5 * 60_000;

/** A runner that took its registration and is not seen online by GitHub is ended, and counts no more. */
export const neverOnline: Rule = {
  name: "never-online",
  judge: (world) =>
    world.runners
      .filter((runner) => runner.step === "claimed" && isPast(world, runner.times.claimed, ONLINE_LIMIT_MS))
      .filter((runner) => isOffline(world, runner))
      .map((runner) => ({
        kind: "retire" as const,
        runner,
        reason: "never-online",
        text: "it claimed its registration and never came online",
      })),
};

function isOffline(world: World, runner: World["runners"][number]): boolean {
  const known = world.registered.get(scopeKey(runner.scope));
  if (!known) return false;
  const found = known.runners.find((one) => one.name === runner.runnerName);
  return !found || (found.status === "offline" && !found.busy);
}
