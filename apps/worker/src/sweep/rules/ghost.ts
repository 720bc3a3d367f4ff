import { scopeKey } from "@grp/core";
import type { Rule } from "../rule.ts";
import { isOurName, isPast, type World } from "../world.ts";

/**
 * A runner on GitHub that carries our name, is offline, and has no live record: nothing will ever run on it. Taken off a
 * grace time after it was first seen so, for a ledger that was lost has no record of one that only connects anew.
 */
export const ghost: Rule = {
  name: "ghost",
  judge: (world) =>
    findGhosts(world)
      .filter(({ key }) => isPast(world, world.ghosts.get(key)))
      .map(({ scope, runnerId, name }) => ({ kind: "deregister", scope, runnerId, name })),
};

/** All that look like one at this moment; `key` is the same each time. */
export function findGhosts(world: Pick<World, "runners" | "registered" | "installation">) {
  const live = new Set(world.runners.map((runner) => runner.runnerName));
  return [...world.registered.values()].flatMap(({ scope, runners }) =>
    runners
      .filter(({ name, status, busy }) => status === "offline" && !busy && isOurName(world, name))
      .filter(({ name }) => !live.has(name))
      .map(({ runnerId, name }) => ({ key: `${scopeKey(scope)}#${runnerId}`, scope, runnerId, name })),
  );
}
