import type { IngressContext } from "../context.ts";
import { endMachine } from "../end-machine.ts";

/**
 * A machine that was refused ends by itself; this makes sure that it did, and gives its place back. A registration that
 * an earlier claim of it was too early for is taken off GitHub.
 */
export async function endRefused(
  context: IngressContext,
  launchId: string,
  instanceId: string,
): Promise<void> {
  const runner = await context.ledger.findRunner(launchId, instanceId);
  if (!runner) return;
  context.registrations.discard(runner.runnerName);
  await endMachine(context, runner, { reason: "not-wanted", instanceId });
}
