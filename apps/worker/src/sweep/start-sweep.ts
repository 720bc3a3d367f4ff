import { createScheduler, type Scheduler } from "@grp/queue";
import type { WorkerContext } from "../context.ts";
import { createSweep } from "./sweep.ts";

/**
 * The sweep as a BullMQ schedule: one at a time across all workers, whichever of them lives. A dry worker has none, for
 * it may end nothing.
 */
export function startSweep(
  context: WorkerContext,
  settings: { redisUrl: string; intervalMs: number; graceMs: number },
): Scheduler | null {
  if (context.dryRun) return null;
  const { graceMs, intervalMs } = settings;
  const sweep = createSweep(context, { graceMs, intervalMs });
  return createScheduler({
    redisUrl: settings.redisUrl,
    schedules: [
      {
        name: "sweep",
        everyMs: intervalMs,
        run: async (signal) => void (await sweep(signal)),
      },
    ],
    onError: (error) => context.log.error("sweep.error", { error: error.message }),
  });
}
