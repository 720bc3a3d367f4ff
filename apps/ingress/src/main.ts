import { createTicketSigner } from "@grp/core";
import { createGitHub } from "@grp/github";
import { createBudget, createLedger, createRefusalTeller } from "@grp/ledger";
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
  readFlags,
  reportConfigError,
  runApp,
  startInternalServer,
} from "@grp/runtime";
import { createIdentityCheck } from "./claims/identity.ts";
import { createClaimsInHand } from "./claims/in-hand.ts";
import { HOLD_MS } from "./claims/mint.ts";
import { createRegistrations } from "./claims/registrations.ts";
import { findWeakness, type IngressConfig, readConfig, settingsSchema } from "./config.ts";
import type { IngressContext } from "./context.ts";
import { createRoutes } from "./routes.ts";
import { startPublicServer } from "./server.ts";
import { showPresence } from "./show-presence.ts";
import { createSignatureCheck } from "./webhook/verify.ts";

const HELP = `grp-ingress: all that the internet may call. GitHub's deliveries become demands in Redis; booted machines
trade their tickets for registrations.

Usage: ingress [--check | --check-settings] [--help]

  --check           read and check every setting and the catalog, see whether Redis can be used, and end
  --check-settings  the same without Redis: for CI
  --help            this text

`;

/** A delivery takes up to three calls, and is answered within 2 s whatever Redis does. */
const REDIS_TIMEOUT_MS = 800;

/** Claims in hand may take 17 s. Less than the 30 s that Kubernetes gives by default. */
const CLOSE_DEADLINE_MS = 25_000;

async function main(): Promise<void> {
  const values = readFlags(["check", "check-settings", "help"]);
  if (!values) {
    process.exitCode = 2;
    return;
  }
  if (values.help) return void process.stdout.write(`${HELP}${describeEnvironment(settingsSchema)}\n`);
  const config = tryConfig(loadEnvironment);
  if (!config) return;
  if (values["check-settings"]) return tellGood(config, "Redis not asked");
  if (values.check) return check(config);
  const logger = createLogger({ app: "ingress", level: config.LOG_LEVEL });
  await runApp({ logger, start: () => start(config, logger), closeDeadlineMs: CLOSE_DEADLINE_MS });
}

function tryConfig(load: () => Environment): IngressConfig | undefined {
  try {
    return readConfig(load());
  } catch (error) {
    process.exitCode = reportConfigError(error);
    return undefined;
  }
}

async function check(config: IngressConfig): Promise<void> {
  try {
    await checkRedis(config.REDIS_URL, { name: "grp-ingress-check" });
    tellGood(config, "Redis answers");
  } catch (error) {
    process.exitCode = reportConfigError(error);
  }
}

function tellGood({ catalog }: IngressConfig, ofRedis: string): void {
  console.log(`ok: ${catalog.classes.length} runner classes, ${ofRedis}`);
}

async function start(config: IngressConfig, log: Logger) {
  const onError = (error: Error) => log.error("redis.failed", { error });
  const metrics = createMetrics({ app: "ingress" });
  const redis = createRedis(config.REDIS_URL, {
    name: "grp-ingress",
    commandTimeoutMs: REDIS_TIMEOUT_MS,
    onError,
  });
  const producer = createQueueProducer({ redisUrl: config.REDIS_URL, deadlineMs: REDIS_TIMEOUT_MS, onError });
  const ledger = createLedger({ redis });
  const context: IngressContext = {
    catalog: config.catalog,
    installation: config.GRP_INSTALLATION,
    ledger,
    producer,
    github: createGitHub({
      auth: config.githubAuth,
      baseUrl: config.GITHUB_API_URL,
      budget: createBudget({ redis }),
      limits: config.catalog.limits.github,
      holdMs: HOLD_MS,
      onRefused: createRefusalTeller({ ledger, log, now: Date.now }),
    }),
    signer: createTicketSigner(withPrevious(config.TICKET_SECRET, config.TICKET_SECRET_PREVIOUS)),
    isSigned: createSignatureCheck(withPrevious(config.WEBHOOK_TOKEN, config.WEBHOOK_TOKEN_PREVIOUS)),
    checkIdentity: createIdentityCheck(config.identityCertificates),
    registrations: createRegistrations(),
    claimsInHand: createClaimsInHand(),
    log,
    metrics,
    now: Date.now,
    endGraceMs: config.END_GRACE * 1_000,
  };
  const internal = await startInternalServer({
    port: config.INTERNAL_PORT,
    isReady: () => isRedisReady(redis),
    metrics,
  });
  const server = await startPublicServer(createRoutes(context), {
    ...{ port: config.PORT, host: config.HOST },
    endInHand: () => context.claimsInHand.end(),
  });
  const presence = showPresence(context);
  const weakness = findWeakness(config);
  if (weakness !== undefined) log.warn("setting.weak", { weakness });
  log.info("ingress.listening", {
    port: server.port,
    internalPort: internal.port,
    runnerClasses: config.catalog.classes.map((one) => one.name),
  });
  return [
    { name: "presence", close: async () => presence.close() },
    { name: "public server", close: () => server.close() },
    { name: "producer", close: () => producer.close() },
    { name: "redis", close: () => closeRedis(redis) },
    { name: "internal server", close: () => internal.close() },
  ];
}

function withPrevious(secret: string, previous: string | undefined): [string, ...string[]] {
  return previous === undefined ? [secret] : [secret, previous];
}

await main();
