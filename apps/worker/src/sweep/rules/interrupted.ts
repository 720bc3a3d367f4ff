import type { Rule } from "../rule.ts";

/** Its machine reported that the provider takes it back, and no workflow job has begun on it: another is needed now. */
export const interrupted: Rule = {
  name: "interrupted",
  judge: (world) =>
    world.runners
      .filter(
        ({ step }) => step === "launched" || step === "booted" || step === "claimed" || step === "online",
      )
      .filter(({ notes }) => notes.some((note) => note.kind === "interrupted"))
      .map((runner) => ({
        kind: "retire" as const,
        runner,
        reason: "interrupted",
        text: "the provider takes its machine back",
      })),
};
