import type { Schedule } from "@grp/queue";
import type { WorkerContext } from "../context.ts";
import { createHookFinder } from "./find-hooks.ts";
import { findUnheard } from "./find-unheard.ts";
import { redeliverFailed } from "./redeliver-failed.ts";
import { createRepositoryLister } from "./repositories.ts";

export interface RecoverySettings {
  /** Between two looks at GitHub's failed deliveries. */
  readonly redeliverEveryMs: number;
  /** Between two searches of the queued runs: dearer, and for what no delivery was even tried. */
  readonly unheardEveryMs: number;
  /** Where our hooks point, if not at `<publicUrl>/webhook`. */
  readonly webhookUrl?: string;
}

/** Six an hour for each owner and repository, with a round a minute. */
const NONE_ROUNDS = 10;

/** What brings in the work that no delivery told of. A dry worker changes nothing, and has none. */
export function recoverySchedules(context: WorkerContext, settings: RecoverySettings): readonly Schedule[] {
  if (context.dryRun) return [];
  const url = settings.webhookUrl ?? `${context.publicUrl}/webhook`;
  const findHooks = createHookFinder(context, url, { noneMs: NONE_ROUNDS * settings.redeliverEveryMs });
  const listRepositories = createRepositoryLister(context);
  return [
    {
      name: "redeliver",
      everyMs: settings.redeliverEveryMs,
      run: (signal) => redeliverFailed(context, findHooks, signal),
    },
    {
      name: "unheard",
      everyMs: settings.unheardEveryMs,
      run: (signal) => findUnheard(context, listRepositories, signal),
    },
  ];
}
