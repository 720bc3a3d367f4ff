import {
  createQueueConsumer,
  PROVIDERS,
  type QueueConsumer,
  type RetryPolicy,
  type WorkOutcome,
} from "@grp/queue";
import type { WorkerContext } from "./context.ts";
import { buryDead } from "./dead.ts";
import { provision } from "./provision.ts";
import { tellRetry } from "./retried.ts";
import { terminate } from "./terminate.ts";

export interface ConsumerSettings {
  readonly redisUrl: string;
  /** Pieces of work at a time, per provider. */
  readonly concurrency: number;
  readonly policy?: Partial<RetryPolicy>;
}

export interface Consumers {
  ready(): Promise<void>;
  isRunning(): boolean;
  /** Takes nothing new; what is not finished within the deadline is given back, and costs no attempt. */
  close(deadlineMs: number): Promise<void>;
}

/** Takes work from every provider's queue. Any number of processes may do so on the same Redis. */
export function startConsumers(context: WorkerContext, settings: ConsumerSettings): Consumers {
  const consumers = PROVIDERS.map(
    (provider): QueueConsumer =>
      createQueueConsumer({
        ...settings,
        provider,
        processors: {
          provision: async (demand, work) => inBrief(await provision(context, provider, demand, work)),
          terminate: (termination, work) => terminate(context, termination, work),
        },
        onDead: (work) => buryDead(context, work),
        onRetry: (retry) => void tellRetry(context, provider, retry),
        onError: (error) => context.log.error("queue.failed", { provider, error: error.message }),
      }),
  );
  return {
    async ready() {
      await Promise.all(consumers.map((consumer) => consumer.ready()));
    },
    isRunning: () => consumers.every((consumer) => consumer.isRunning()),
    async close(deadlineMs) {
      await Promise.all(consumers.map((consumer) => consumer.close(deadlineMs)));
    },
  };
}

/** The queue keeps each result for a week, in two places: of a launch all the rest stands in the ledger, and in the log. */
function inBrief(outcome: WorkOutcome): WorkOutcome {
  if (outcome.kind !== "done") return outcome;
  const { outcome: kind, launchId } = outcome.result as { outcome?: unknown; launchId?: unknown };
  return kind === "launched" ? { kind: "done", result: { outcome: kind, launchId } } : outcome;
}
