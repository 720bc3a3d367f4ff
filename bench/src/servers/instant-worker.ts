// The real worker on a cloud that starts and ends every machine at once, so that nothing but our own work takes time.
// All but the provider is composed as in `apps/worker/src/main.ts`; there is no sweep.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createTicketSigner, type Instance, parseCatalog, type RunnerProvider } from "@grp/core";
import { createGitHub } from "@grp/github";
import { createLedger } from "@grp/ledger";
import { createQueueProducer } from "@grp/queue";
import { createLogger, createMetrics, createRedis } from "@grp/runtime";
import { startConsumers } from "../../../apps/worker/src/consumers.ts";
import type { WorkerContext } from "../../../apps/worker/src/context.ts";
import { createGatherer } from "../../../apps/worker/src/gatherer.ts";
import { createWorkerMetrics } from "../../../apps/worker/src/signals.ts";

/** WORKER_CONCURRENCY's default. */
const CONCURRENCY = 500;

const {
  REDIS_URL: redisUrl = "",
  RUNNERS_FILE: file = "",
  TICKET_SECRET: secret = "",
  PORT: port,
} = process.env;
const verdict = parseCatalog(readFileSync(file, "utf8"), { env: {}, useCodemagic: true });
if (!verdict.ok) throw new Error(`${file}: ${JSON.stringify(verdict.faults)}`);

const cloud: RunnerProvider = {
  name: "ec2",
  maxLaunchSize: 100,
  validate: async () => undefined,
  admit: async (_offering, wanted) => ({ granted: wanted }),
  launch: async ({ launchId, size }) =>
    Array.from({ length: size }, (_none, at): Instance => {
      const instanceId = `i-${launchId.slice(2)}${at}`;
      return { instanceId, provider: "ec2", launchId, state: "running", launchedAt: Date.now() };
    }),
  terminate: async () => "gone",
  list: async () => ({ instances: [], unasked: [] }),
};
const log = createLogger({ app: "worker", level: "info" });
const onError = (error: Error) => log.error("redis.failed", { error });
const context: WorkerContext = {
  ...{ catalog: verdict.catalog, installation: "grp", publicUrl: "http://127.0.0.1:9", dryRun: false, log },
  ledger: createLedger({
    redis: createRedis(redisUrl, { name: "instant", commandTimeoutMs: 5_000, onError }),
  }),
  producer: createQueueProducer({ redisUrl, deadlineMs: 5_000, onError }),
  providers: new Map([["ec2", cloud]]),
  gatherer: createGatherer({ mostHeld: CONCURRENCY / 2 }),
  // GitHub forgets a single-use runner as soon as its job is over.
  github: {
    ...createGitHub({ auth: { kind: "pat", token: "none" }, baseUrl: "http://127.0.0.1:9" }),
    findRunner: async () => null,
  },
  signer: createTicketSigner([secret]),
  metrics: createWorkerMetrics(createMetrics({ app: "worker" })),
  now: Date.now,
};
const consumers = startConsumers(context, { redisUrl, concurrency: CONCURRENCY });
await consumers.ready();
createServer((_request, response) => response.end("ready\n")).listen(Number(port), "127.0.0.1");
// A profile is written at an orderly end only.
process.on("SIGTERM", () => process.exit(0));
