import { createLedger } from "@grp/ledger";
import { createQueueProducer } from "@grp/queue";
import {
  type CloseStep,
  checkRedis,
  closeRedis,
  closeServer,
  createLogger,
  createMetrics,
  createRedis,
  isRedisReady,
  type Logger,
  listen,
  loadEnvironment,
  readFlags,
  reportConfigError,
  runApp,
  showState,
  startInternalServer,
} from "@grp/runtime";
import { loadCatalog } from "./catalog.ts";
import { describeServerSettings, type OpsConfig, readOpsConfig } from "./config.ts";
import type { OpsContext } from "./server/actions.ts";
import { BOARD_PATH, createOpsApp } from "./server/app.ts";
import { createBoard } from "./server/board.ts";
import { countAll } from "./server/status.ts";

const HELP = `grp ops: status pages, API and queue dashboard.

Usage: node apps/ops/src/main.ts [--help | --check | --check-settings]
  --check           only check the environment and whether Redis can be used: exit 0, or 2 with every fault named
  --check-settings  the same without Redis: for CI

  /                         overview: what waits and why, workflow jobs, caps, queues
  /workflow-jobs/<id>       one workflow job: every step, what it waits for, what comes next
  /dead                     dead letters with their history, to retry or dismiss
  /find                     a workflow job by its id or its address on GitHub
  ${BOARD_PATH}                   BullMQ dashboard
  /api/status  /api/workflow-jobs[/<id>]  /api/plans/<key>  /api/dead
  POST /api/dead/<key>/retry | dismiss    (unless read-only)

${describeServerSettings()}
`;

/** Everything of this process, and how it ends. */
async function startOps(config: OpsConfig, logger: Logger): Promise<readonly CloseStep[]> {
  const onError = (error: Error) => logger.error("redis.error", { error });
  const redis = createRedis(config.redisUrl, { name: "grp-ops", onError });
  const producer = createQueueProducer({
    redisUrl: config.redisUrl,
    deadlineMs: 2_000,
    onError: () => undefined,
  });
  const catalog = await loadCatalog(config.catalog);
  if (!catalog.ok) logger.warn("ops.catalog-unread", { why: catalog.why });
  const board = createBoard(redis, { basePath: BOARD_PATH, isReadOnly: config.isReadOnly });
  const context: OpsContext = {
    ledger: createLedger({ redis }),
    producer,
    findFailed: (demand) => board.findFailed(demand),
    logger,
    isReadOnly: config.isReadOnly,
    catalog: catalog.ok ? catalog.value : undefined,
    now: Date.now,
  };
  const metrics = createMetrics({ app: "ops" });
  const internal = await startInternalServer({
    port: config.internalPort,
    isReady: () => isRedisReady(redis),
    metrics,
    collect: async () => showState(metrics, await countAll(context)),
  });
  const { credentials } = config;
  const app = createOpsApp({ context, board: board.router, ...(credentials ? { credentials } : {}) });
  const server = await listen(app, { port: config.port, host: config.host, setting: "OPS_PORT" });
  logger.info("ops.listening", {
    address: server.address(),
    internalPort: internal.port,
    isReadOnly: config.isReadOnly,
    isAnonymous: credentials === undefined,
  });
  return [
    { name: "pages", close: () => closeServer(server) },
    { name: "board", close: () => board.close() },
    { name: "producer", close: () => producer.close() },
    { name: "redis", close: () => closeRedis(redis) },
    { name: "internal server", close: () => internal.close() },
  ];
}

async function main(): Promise<void> {
  const flags = readFlags(["check", "check-settings", "help"]);
  if (!flags) {
    process.exitCode = 2;
    return;
  }
  if (flags.help) return void process.stdout.write(HELP);
  const config = readOpsConfig(loadEnvironment());
  if (flags["check-settings"]) return void process.stdout.write("ops: settings are good, Redis not asked\n");
  if (flags.check) {
    await checkRedis(config.redisUrl, { name: "grp-ops-check" });
    return void process.stdout.write("ops: settings are good, Redis answers\n");
  }
  const logger = createLogger({ app: "ops", level: config.logLevel });
  await runApp({ logger, start: () => startOps(config, logger), closeDeadlineMs: 8_000 });
}

if (import.meta.main)
  await main().catch((error: unknown) => {
    process.exitCode = reportConfigError(error);
  });
