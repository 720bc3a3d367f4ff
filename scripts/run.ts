import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { type Environment, loadEnvironment, reportConfigError } from "../packages/runtime/src/index.ts";
import { checkSettings } from "./check-settings.ts";
import { type LocalRedis, startLocalRedis } from "./local-redis.ts";
import { withOwnCredentials } from "./own-credentials.ts";

const root = resolve(import.meta.dirname, "..");
const apps = ["ingress", "worker", "ops"] as const;
/** Longer than any app's own deadline: a worker finishes or gives back what it has in hand. */
const closeDeadlineMs = 45_000;

/** Apps first, Redis last: it must outlive those who write to it. */
const running = new Map<string, ChildProcess>();
let redis: LocalRedis | undefined;
let isStopping = false;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => (isStopping ? killAll() : void stop(0, signal)));
await main().catch((error: unknown) => stop(reportConfigError(error)));

async function main(): Promise<void> {
  const environment = await completeEnvironment();
  const settings = apps.map((app, index) => ({
    app,
    environment: withOwnPort(withOwnCredentials(app, environment), index),
  }));
  const faults = await checkSettings(root, settings);
  if (isStopping) return;
  if (faults !== undefined) {
    console.error(faults);
    return stop(2);
  }
  for (const { app, environment } of settings) running.set(app, start(app, environment));
  for (const [app, child] of running) child.once("exit", () => void stop(1, `${app} ended`));
}

/** The environment with `.env`, and a Redis of our own where none is given. */
async function completeEnvironment(): Promise<Environment> {
  const environment: Environment = { ...loadEnvironment(), GRP_ENV_FILE: "none" };
  if (environment.REDIS_URL) return environment;
  const local = await startLocalRedis(resolve(root, ".grp/redis"));
  redis = local;
  void local.ended.then(() => stop(1, "redis ended"));
  return { ...environment, REDIS_URL: local.url };
}

/** One INTERNAL_PORT for three processes: each gets its own, counted from there. */
function withOwnPort(environment: Environment, index: number): Environment {
  const first = Number(environment.INTERNAL_PORT);
  return first ? { ...environment, INTERNAL_PORT: String(first + index) } : environment;
}

/**
 * A group of its own: Ctrl-C reaches this process alone, which tells each app once (twice would mean "at once").
 * The channel tells the app when this process is gone, however it went.
 */
function start(app: string, env: Environment): ChildProcess {
  return spawn(process.execPath, [resolve(root, "apps", app, "src/main.ts")], {
    cwd: root,
    env,
    detached: true,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
}

async function stop(code: number, why?: string): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  if (why !== undefined) console.error(`${why}: stopping`);
  const deadline = setTimeout(killAll, closeDeadlineMs);
  const ends = await Promise.all([...running.values()].map(end));
  await redis?.stop();
  clearTimeout(deadline);
  process.exit(code === 0 && ends.some((isClean) => !isClean) ? 1 : code);
}

/** Whether it ended well. */
async function end(child: ChildProcess): Promise<boolean> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  return child.exitCode === 0;
}

function killAll(): void {
  for (const child of running.values()) child.kill("SIGKILL");
}
