import { limitsOf } from "@grp/core";
import { endRunner, type Rule } from "../rule.ts";
import { isPast } from "../world.ts";

/** Past its class's idle limit. The machine should have ended itself; whether it is busy, GitHub is asked at the end. */
export const idle: Rule = {
  name: "idle",
  judge: (world) =>
    world.runners
      .filter(({ step }) => step === "claimed" || step === "online")
      .filter(({ times, runnerClass }) =>
        isPast(world, times.online ?? times.claimed, limitsOf(world.catalog, runnerClass).idleTimeout),
      )
      .map((runner) => endRunner(runner, "idle")),
};
