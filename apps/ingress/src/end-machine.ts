import type { RunnerRecord } from "@grp/ledger";
import type { IngressContext } from "./context.ts";

/**
 * Has a worker end the runner's machine, unless it is known to be gone: after the time that it has to end by itself.
 * `instanceId` where the caller knows better than the record. Safe to repeat.
 */
export async function endMachine(
  context: IngressContext,
  { runnerName, launchId, provider, step, instanceId: known }: RunnerRecord,
  { reason, instanceId = known }: { readonly reason: string; readonly instanceId?: string | undefined },
): Promise<void> {
  if (step === "gone") return;
  await context.producer.enqueueTermination(
    {
      version: 1,
      runnerName,
      launchId,
      provider,
      ...(instanceId ? { instanceId } : {}),
      reason,
      requestedAt: context.now(),
    },
    { delayMs: context.endGraceMs },
  );
}
