import type { RunnerRecord } from "@grp/ledger";
import type { Deed, Rule } from "../rule.ts";
import { isPast, listedAround, type World } from "../world.ts";

/** So many grace times later it is the same loss, though some sweeps in between could not ask. */
const BELIEVED_GRACES = 4;

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

function isUnlisted(world: World, runner: RunnerRecord): boolean {
  const { instanceId, step, times } = runner;
  const listed = listedAround(world, runner);
  if (!listed || instanceId === undefined || step === "finished") return false;
  // One that claimed is known by its instance, though the launch was never answered.
  if (!isPast(world, times.launched ?? times.launching)) return false;
  return !listed.some((instance) => instance.instanceId === instanceId);
}

function judge(world: World, runner: RunnerRecord): readonly Deed[] {
  const text = "its provider no longer lists its machine";
  // An older one was of a list that has shown it since.
  const seen = runner.notes.find(
    ({ kind, at }) => kind === "unlisted" && world.now - at <= BELIEVED_GRACES * world.graceMs,
  );
  if (!seen)
    return [{ kind: "note", runnerName: runner.runnerName, note: { at: world.now, kind: "unlisted", text } }];
  return isPast(world, seen.at) ? [{ kind: "retire", runner, reason: "lost", text }] : [];
}
