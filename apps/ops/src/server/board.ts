import { createBullBoard } from "@bull-board/api";
import { BullMQAdapter } from "@bull-board/api/bullMQAdapter";
import { ExpressAdapter } from "@bull-board/express";
import { type Demand, demandJobId, type ProviderName } from "@grp/core";
import { PROVIDERS, QUEUE_SETTINGS, queueName, scheduleQueueName } from "@grp/queue";
import { type Redis, redact } from "@grp/runtime";
import { Queue } from "bullmq";
import type { Express } from "express";

export interface Board {
  readonly router: Express;
  /** Where a demand's queue job lies failed; undefined when it is in no queue any more. */
  findFailed(demand: Demand): Promise<ProviderName | undefined>;
  close(): Promise<void>;
}

/** The workers' schedules, each with a queue of its own; one that nobody runs is shown empty. */
const SCHEDULES = ["sweep", "redeliver", "unheard", "alert"];

/** bull-board over our queues. Nothing secret is ever put into a queue; what is shown is redacted all the same. */
export function createBoard(connection: Redis, options: { basePath: string; isReadOnly: boolean }): Board {
  const open = (name: string) => {
    const queue = new Queue(name, { connection, ...QUEUE_SETTINGS });
    queue.on("error", () => undefined);
    return queue;
  };
  const byProvider = PROVIDERS.map((provider) => ({ provider, queue: open(queueName(provider)) }));
  const queues = [
    ...byProvider.map(({ queue }) => queue),
    ...SCHEDULES.map((name) => open(scheduleQueueName(name))),
  ];
  const adapter = new ExpressAdapter().setBasePath(options.basePath);
  createBullBoard({
    queues: queues.map((queue) => showQueue(queue, options.isReadOnly)),
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: "grp queues", hideRedisDetails: true } },
  });
  const router = adapter.getRouter() as Express;
  dropForeignFonts(router);
  return {
    router,
    async findFailed(demand) {
      const jobId = demandJobId(demand.key, demand.generation);
      for (const { provider, queue } of byProvider)
        if ((await queue.getJobState(jobId)) === "failed") return provider;
      return undefined;
    },
    async close() {
      await Promise.all(queues.map((queue) => queue.close()));
    },
  };
}

function showQueue(queue: Queue, isReadOnly: boolean): BullMQAdapter {
  const shown = new BullMQAdapter(queue, { readOnlyMode: isReadOnly });
  shown.setFormatter("data", redact);
  shown.setFormatter("returnValue", redact);
  return shown;
}

/** Its page asks Google for fonts: blocked by our policy anyway, and nobody else's business. */
function dropForeignFonts(router: Express): void {
  const engines = (router as unknown as { engines: Record<string, RenderEngine> }).engines;
  const render = engines[".ejs"];
  if (!render) return;
  router.engine("ejs", (file, options, done) =>
    render(file, options, (error, page) =>
      done(error, page?.replace(/<link[^>]+fonts\.googleapis\.com[^>]*>/, "")),
    ),
  );
}

type RenderEngine = (file: string, options: object, done: (error: unknown, page?: string) => void) => void;
