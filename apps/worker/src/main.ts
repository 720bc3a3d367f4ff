import { type Budget, createTicketSigner, type ProviderName, type RunnerProvider } from "@grp/core";
import { createGitHub, type GitHubOptions } from "@grp/github";
import { createBudget, createLedger, createRefusalTeller, type Ledger } from "@grp/ledger";
import { createQueueProducer } from "@grp/queue";
import {
  checkRedis,
  closeRedis,
  createLogger,
  createMetrics,
  createRedis,
  describeEnvironment,
  type Environment,
  isRedisReady,
  type Logger,
  loadEnvironment,
  type Metrics,
  readFlags,
  reportConfigError,
  runApp,
  startInternalServer,
} from "@grp/runtime";
import { composeProviders } from "./compose-providers.ts";
import { readConfig, settingsSchema, type WorkerConfig } from "./config.ts";
import { startConsumers } from "./consumers.ts";
import type { WorkerContext } from "./context.ts";
import { createGatherer } from "./gatherer.ts";
import { collectState, createWorkerMetrics } from "./signals.ts";
import { startRecovery } from "./start-recovery.ts";
import { startSweep } from "./sweep/start-sweep.ts";
import { watchRedis } from "./watch-redis.ts";

const BANNER = `
             ┌────────────── ingress ──────────────┐            ┌──── worker ────┐
 GitHub ───► │ verify → parse → match → enqueue    │ ─► Redis ─► │ launch · end   │ ─► EC2 / CodeMagic
 delivery    └──────────────── 202 ────────────────┘            └────────────────┘        │ boots
                                                                                          ▼
 GitHub ◄──── registers, runs one job ◄──── JIT config ◄──── ingress: claim ◄──── machine (holds only a ticket)

 worker: sweep (every 30 s)   compares what GitHub says · what the provider says · what the ledger says, and mends
`;

const HELP = `grp-worker: launches machines for queued workflow jobs, ends them, and sweeps.
${BANNER}
Usage: worker [--check | --check-settings] [--dry-run] [--help]

  --check           read and check every setting and the catalog, see whether Redis can be used, and end
  --check-settings  the same without Redis: for CI
  --dry-run         plan everything and start nothing, whatever a request says (same as DRY_RUN=true)
  --help            this text

Any number of workers may run on the same Redis. SIGTERM or Ctrl-C ends one: it takes nothing new, and gives back
what it can't finish within STOP_DEADLINE.

`;

/** Longer, and the piece of work is laid aside meanwhile. */
const GITHUB_HOLD_MS = 2_000;

/** Commands must end in time for a retry to be of use; a piece of work may well wait that long. */
const COMMAND_TIMEOUT_MS = 5_000;

async function main(): Promise<void> {
  const values = readFlags(["check", "check-settings", "dry-run", "help"]);
  if (!values) {
    process.exitCode = 2;
    return;
  }
  if (values.help) return void process.stdout.write(`${HELP}${describeEnvironment(settingsSchema)}\n`);
  const config = tryConfig(() => ({
    ...loadEnvironment(),
    ...(values["dry-run"] ? { DRY_RUN: "true" } : {}),
  }));
  if (!config) return;
  if (values["check-settings"]) return tellGood(config, "Redis not asked");
  if (values.check) return check(config);
  const logger = createLogger({ app: "worker", level: config.LOG_LEVEL });
  // The queue and the sweep give back within the first; the rest closes in an instant.
  const closeDeadlineMs = config.STOP_DEADLINE * 1_000 + 5_000;
  await runApp({ logger, start: () => start(config, logger), closeDeadlineMs });
}

function tryConfig(load: () => Environment): WorkerConfig | undefined {
  try {
    return readConfig(load());
  } catch (error) {
    process.exitCode = reportConfigError(error);
    return undefined;
  }
}

async function check(config: WorkerConfig): Promise<void> {
  try {
    await checkRedis(config.REDIS_URL, { name: "grp-worker-check" });
    tellGood(config, "Redis answers");
  } catch (error) {
    process.exitCode = reportConfigError(error);
  }
}

function tellGood({ catalog }: WorkerConfig, ofRedis: string): void {
  console.log(`ok: ${catalog.classes.length} runner classes, ${ofRedis}`);
}

async function start(config: WorkerConfig, logger: Logger) {
  const onError = (error: Error) => logger.error("redis.failed", { error });
  const metrics = createMetrics({ app: "worker" });
  const redis = createRedis(config.REDIS_URL, {
    name: "grp-worker",
    commandTimeoutMs: COMMAND_TIMEOUT_MS,
    onError,
  });
  const producer = createQueueProducer({
    redisUrl: config.REDIS_URL,
    deadlineMs: COMMAND_TIMEOUT_MS,
    onError,
  });
  const budget = createBudget({ redis });
  const ledger = createLedger({ redis });
  const redisWatch = watchRedis({ ledger, log: logger, now: Date.now }, redis);
  const { providers, close: closeProviders } = composeProviders(config, { metrics, budget, ledger });
  const github = githubOptions(config, { logger, budget, ledger });
  const context: WorkerContext = {
    ...compose(config, { logger, metrics, providers, ledger }),
    github: createGitHub({ ...github, background: "work" }),
    producer,
  };
  // What compares and mends can wait for GitHub's next hour; what ends a machine can't.
  const mending = { ...context, github: createGitHub({ ...github, background: "mending" }) };
  const internal = await startInternalServer({
    port: config.INTERNAL_PORT,
    isReady: () => isRedisReady(redis),
    metrics,
    collect: () => collectState(context, metrics),
  });
  const deadlineMs = config.STOP_DEADLINE * 1_000;
  const consumers = startConsumers(context, {
    redisUrl: config.REDIS_URL,
    concurrency: config.WORKER_CONCURRENCY,
  });
  const sweep = startSweep(mending, {
    redisUrl: config.REDIS_URL,
    intervalMs: config.SWEEP_INTERVAL * 1_000,
    graceMs: config.SWEEP_GRACE * 1_000,
  });
  const recovery = startRecovery(mending, config);
  logger.info("worker.composed", {
    installation: config.GRP_INSTALLATION,
    dryRun: config.DRY_RUN,
    internalPort: internal.port,
    runnerClasses: config.catalog.classes.map((one) => one.name),
    providers: [...providers.keys()],
  });
  const closeWork = async () =>
    void (await Promise.all([consumers, sweep, recovery].map((part) => part?.close(deadlineMs))));
  return [
    { name: "queues and sweep", close: closeWork },
    { name: "producer", close: () => producer.close() },
    { name: "redis watch", close: async () => redisWatch.close() },
    { name: "redis", close: () => closeRedis(redis) },
    { name: "providers", close: async () => closeProviders() },
    { name: "internal server", close: () => internal.close() },
  ];
}

function githubOptions(
  config: WorkerConfig,
  { logger: log, budget, ledger }: { logger: Logger; budget: Budget; ledger: Ledger },
): GitHubOptions {
  return {
    auth: config.githubAuth,
    baseUrl: config.GITHUB_API_URL,
    budget,
    limits: config.catalog.limits.github,
    holdMs: GITHUB_HOLD_MS,
    onRefused: createRefusalTeller({ ledger, log, now: Date.now }),
  };
}

function compose(
  config: WorkerConfig,
  parts: {
    readonly logger: Logger;
    readonly metrics: Metrics;
    readonly providers: ReadonlyMap<ProviderName, RunnerProvider>;
    readonly ledger: Ledger;
  },
): Omit<WorkerContext, "producer" | "github"> {
  const { ledger, logger: log } = parts;
  return {
    catalog: config.catalog,
    installation: config.GRP_INSTALLATION,
    publicUrl: config.PUBLIC_URL,
    dryRun: config.DRY_RUN,
    providers: parts.providers,
    // As many hands stay free for what needs no leave, or another one: the end of machines, other regions.
    gatherer: createGatherer({ mostHeld: Math.floor(config.WORKER_CONCURRENCY / 2) }),
    signer: createTicketSigner([config.TICKET_SECRET]),
    ledger,
    log,
    metrics: createWorkerMetrics(parts.metrics),
    now: Date.now,
  };
}

await main();
