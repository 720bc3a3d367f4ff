import type { Rule } from "../rule.ts";

/** A place, or a turn in the line, whose holder has neither a machine nor a queue job any more. */
export const leakedPlace: Rule = {
  name: "leaked-place",
  judge: (world) => {
    const inUse = new Set(world.runners.map((runner) => runner.placeHolder));
    return world.holders
      .filter(({ holder, isUnderWay }) => !isUnderWay && !inUse.has(holder))
      .map(({ holder }) => ({ kind: "release-place" as const, holder }));
  },
};
