import type { Rule } from "../rule.ts";
import { isOurName } from "../world.ts";

/** A runner on GitHub that carries our name, is offline, and has no live record: nothing will ever run on it. */
export const ghost: Rule = {
  name: "ghost",
  judge: (world) => {
    const live = new Set(world.runners.map((runner) => runner.runnerName));
    return [...world.registered.values()].flatMap(({ scope, runners }) =>
      runners
        .filter(({ name, status, busy }) => status === "offline" && !busy && isOurName(world, name))
        .filter(({ name }) => !live.has(name))
        .map(({ runnerId, name }) => ({ kind: "deregister" as const, scope, runnerId, name })),
    );
  },
};
