import type { RunnerRecord } from "@grp/ledger";
import type { Deed, Rule } from "../rule.ts";
import { isPast, type World } from "../world.ts";

/**
 * The provider's list lacks the machine of a live runner: noted the first time, believed the second, a grace time
 * later. Out of the supply then, so that `missing` asks for another if its workflow job still waits; whether it is gone
 * for certain is left to the one who ends it.
 */
export const lost: Rule = {
  name: "lost",
  judge: (world) =>
    world.runners.filter((runner) => isUnlisted(world, runner)).flatMap((r) => judge(world, r)),
};

function isUnlisted(world: World, { provider, instanceId, step, times }: RunnerRecord): boolean {
  const listed = world.instances.get(provider);
  if (!listed || instanceId === undefined || step === "finished") return false;
  // One that claimed is known by its instance, though the launch was never answered.
  if (!isPast(world, times.launched ?? times.launching)) return false;
  return !listed.some((instance) => instance.instanceId === instanceId);
}

function judge(world: World, runner: RunnerRecord): readonly Deed[] {
  const text = "its provider no longer lists its machine";
  const seen = runner.notes.find((note) => note.kind === "unlisted");
  if (!seen)
    return [{ kind: "note", runnerName: runner.runnerName, note: { at: world.now, kind: "unlisted", text } }];
  return isPast(world, seen.at) ? [{ kind: "retire", runner, reason: "lost", text }] : [];
}
