import { limitsOf, parseScopeKey, runnerNamePrefix } from "@grp/core";
import type { Deed, Rule } from "../rule.ts";
import { isPast, type Stray, type World } from "../world.ts";

/**
 * A machine that bears our tag and is no live runner's: ended, unless its launch's answer is still outstanding. A ledger
 * that was lost, or is not the one it was launched by, knows no runner: so GitHub says whether a workflow job runs there.
 */
export const stray: Rule = {
  name: "stray",
  judge: (world) =>
    world.strays
      .filter((one) => isStray(world, one) && !mayBeBusy(world, one))
      .map(({ instance: { instanceId, provider, launchId } }): Deed => {
        // Named by its instance, since a launch may leave several behind.
        const runnerName = `stray-${instanceId}`;
        return {
          kind: "end",
          runnerName,
          launchId: launchId || "unknown",
          provider,
          instanceId,
          reason: "stray",
        };
      }),
};

/** Whether GitHub is to be asked before it is ended. */
export function mustAsk(world: World, one: Stray): boolean {
  return isStray(world, one) && canBeBusy(world, one);
}

function isStray(world: World, { instance, launch }: Stray): boolean {
  return instance.state !== "terminating" && launch?.state !== "open" && isPast(world, instance.launchedAt);
}

/** Its scope is known, and it is not older than any machine of its class may become. */
function canBeBusy(world: World, { instance }: Stray): boolean {
  if (parseScopeKey(instance.scope ?? "") === undefined) return false;
  const { bootTimeout, idleTimeout, maxRuntime } = limitsOf(world.catalog, instance.runnerClass ?? "");
  return !isPast(world, instance.launchedAt, bootTimeout + idleTimeout + maxRuntime);
}

/** Which runner of its launch is this machine's, only the ledger knew: one that is busy spares them all. */
function mayBeBusy(world: World, one: Stray): boolean {
  if (!canBeBusy(world, one)) return false;
  const prefix = runnerNamePrefix(world.installation, one.instance.launchId);
  return one.registered?.some(({ name, busy }) => busy && name.startsWith(prefix)) ?? true;
}
