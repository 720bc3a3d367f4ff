import type { IngressContext } from "../context.ts";

/** A machine that was refused ends by itself; this makes sure that it did, and gives its place back. */
export async function endRefused(
  context: IngressContext,
  launchId: string,
  instanceId: string,
): Promise<void> {
  const runner = await context.ledger.findRunner(launchId, instanceId);
  if (!runner || runner.step === "gone") return;
  await context.producer.enqueueTermination(
    {
      version: 1,
      runnerName: runner.runnerName,
      launchId,
      provider: runner.provider,
      instanceId,
      reason: "not-wanted",
      requestedAt: context.now(),
    },
    { delayMs: context.endGraceMs },
  );
}
