import { createScheduler, type Scheduler } from "@grp/queue";
import type { WorkerContext } from "../context.ts";
import { createSweep } from "./sweep.ts";

/** One sweep of so many looks for ghosts where nothing of ours runs: each ten minutes, with the shipped interval. */
const QUIET_SWEEPS = 20;

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
  const sweep = createSweep(context, { graceMs, quietScopesMs: QUIET_SWEEPS * intervalMs });
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
