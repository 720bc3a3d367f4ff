import { limitsOf } from "@grp/core";
import type { Rule } from "../rule.ts";
import { isPast, mayBeBusy } from "../world.ts";

/**
 * Past its class's idle limit. The machine should have ended itself, so nobody may count on it; whether it is busy after
 * all, GitHub is asked at the end.
 */
export const idle: Rule = {
  name: "idle",
  judge: (world) =>
    world.runners
      .filter(({ step }) => step === "claimed" || step === "online")
      .filter(({ times, runnerClass }) =>
        isPast(world, times.online ?? times.claimed, limitsOf(world.catalog, runnerClass).idleTimeout),
      )
      .filter((runner) => !mayBeBusy(world, runner))
      .map((runner) => ({
        kind: "retire" as const,
        runner,
        reason: "idle",
        text: "no workflow job came to it in time",
      })),
};
