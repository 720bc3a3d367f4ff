import { createScheduler, type Scheduler } from "@grp/queue";
import { alertSchedule } from "./alerts/alert.ts";
import type { WorkerConfig } from "./config.ts";
import type { WorkerContext } from "./context.ts";
import { recoverySchedules } from "./recover/recovery-schedules.ts";

type Settings = Pick<
  WorkerConfig,
  | "REDIS_URL"
  | "REDELIVERY_INTERVAL"
  | "UNHEARD_INTERVAL"
  | "WEBHOOK_URL"
  | "ALERT_WEBHOOK_URL"
  | "ALERT_INTERVAL"
>;

/** Missed deliveries and alerts as BullMQ schedules: each one at a time across all workers. */
export function startRecovery(context: WorkerContext, settings: Settings): Scheduler {
  const { WEBHOOK_URL: webhookUrl, ALERT_WEBHOOK_URL: url } = settings;
  const recovery = recoverySchedules(context, {
    redeliverEveryMs: settings.REDELIVERY_INTERVAL * 1_000,
    unheardEveryMs: settings.UNHEARD_INTERVAL * 1_000,
    ...(webhookUrl ? { webhookUrl } : {}),
  });
  return createScheduler({
    redisUrl: settings.REDIS_URL,
    schedules: [
      ...recovery,
      ...(url ? [alertSchedule(context, { url, everyMs: settings.ALERT_INTERVAL * 1_000 })] : []),
    ],
    onError: (error, schedule) =>
      context.log.error("recovery.failed", {
        schedule,
        error: error.message,
      }),
  });
}
