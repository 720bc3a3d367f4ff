import { endRunner, type Rule } from "../rule.ts";
import { isPast } from "../world.ts";

/** Its work is over and its machine is not known to be gone: it is ended, or found to have ended by itself. */
export const finished: Rule = {
  name: "finished",
  judge: (world) =>
    world.runners
      .filter(({ step, times }) => step === "finished" && isPast(world, times.finished))
      .map((runner) => endRunner(runner, "finished")),
};
