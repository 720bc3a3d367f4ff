import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createSandbox, type Sandbox, type SandboxOptions } from "../sandbox.ts";
import { answers, findFreePorts } from "./ports.ts";
import { type Environment, type StackProcess, startProcess } from "./process.ts";
import { findProgram, type StackRedis, startRedis } from "./redis.ts";
import { makeAppSettings, makeSettings } from "./settings.ts";

export interface StackOptions {
  /** One for each process, with what its environment has beyond the others'; one of each unless told otherwise. */
  readonly ingress?: readonly Environment[];
  readonly workers?: readonly Environment[];
  /** Status pages and `grp`'s API; none unless asked for. */
  readonly ops?: Environment;
  /** What it is to GitHub: the holder of the sandbox's token unless told otherwise, or the sandbox's Apps. */
  readonly as?: "token" | "apps";
  /** Over what every process is given; `SWEEP_INTERVAL`, `END_GRACE` and the like. */
  readonly env?: Readonly<Record<string, string>>;
  /** The text of `runners.yaml`; the shipped one unless told otherwise. */
  readonly runners?: string;
  readonly sandbox?: SandboxOptions;
  readonly appendfsync?: "always" | "everysec";
  /** Ends the start. */
  readonly signal?: AbortSignal;
  readonly onReady?: (name: string, what: string) => void;
}

/** An ingress, worker or ops process. */
export interface StackApp extends StackProcess {
  /** Of its public server; a worker has none. */
  readonly url: string;
  /** Health and metrics. */
  readonly internalUrl: string;
}

/** The whole product as real processes, on ports that stay the same over restarts, with the sandbox around it. */
export interface Stack {
  /** Its GitHub sends no delivery before `connect()`. */
  readonly sandbox: Sandbox;
  readonly redis: StackRedis;
  /** The first one's address is PUBLIC_URL. */
  readonly ingress: readonly StackApp[];
  readonly workers: readonly StackApp[];
  readonly ops: StackApp | undefined;
  /** What every process was given: secrets, addresses. */
  readonly settings: Readonly<Record<string, string>>;
  readonly webhookUrl: string;
  /** Logs of every process, and Redis's own data. */
  readonly folder: string;
  /** Sets a webhook up at the sandbox's GitHub: the App's own and JSON, unless told otherwise. */
  connect(hook?: Partial<Parameters<Sandbox["github"]["addHook"]>[0]>): Promise<void>;
  /** One worker more. */
  addWorker(env?: Environment): Promise<StackApp>;
  /** Ends everything; `unclean` names the processes that failed, or had to be killed, while they were being ended. */
  stop(): Promise<{ readonly unclean: readonly string[] }>;
}

type AppName = "ingress" | "worker" | "ops";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "..");
const { PATH = "", NODE_COMPILE_CACHE } = process.env;
/** What Node compiled once need not be compiled again by each process. */
const COMPILED = NODE_COMPILE_CACHE ? { NODE_COMPILE_CACHE } : {};

/** What has been started so far; a start that fails half-way ends it too. */
interface Parts {
  readonly folder: string;
  readonly apps: StackApp[];
  redis?: StackRedis;
  sandbox?: Sandbox;
}

/** Starts Redis, the sandbox (in this process), and the apps, and waits until each says that it is ready. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const parts: Parts = { folder: await mkdtemp(join(tmpdir(), "grp-stack-")), apps: [] };
  try {
    return await assemble(options, parts);
  } catch (error) {
    await stopParts(parts);
    throw error;
  }
}

async function assemble(options: StackOptions, parts: Parts): Promise<Stack> {
  const { ingress = [{}], workers = [{}], onReady = () => undefined } = options;
  // The boot scripts' only need beyond what every system has; the images of EC2 and CodeMagic have it too.
  if (!findProgram(["curl"], PATH)) throw new Error("There is no curl on PATH: run `make setup`.");
  const [redisPort = 0, publicPort = 0] = await findFreePorts(2);
  const { folder } = parts;
  const redis = startRedis({
    ...{ port: redisPort, folder, path: PATH },
    appendfsync: options.appendfsync ?? "always",
  });
  parts.redis = redis;
  await redis.ready();
  onReady("redis", `127.0.0.1:${redisPort}, append-only file on`);
  const sandbox = await createSandbox(options.sandbox);
  parts.sandbox = sandbox;
  const { github, ec2, codemagic } = sandbox;
  onReady("sandbox", `GitHub ${github.url}, EC2 ${ec2.url}, CodeMagic ${codemagic.url}`);
  const publicUrl = `http://127.0.0.1:${publicPort}`;
  const runnersFile = await writeRunners(folder, options.runners);
  const made = await makeSettings({ sandbox, redisUrl: redis.url, publicUrl, folder, runnersFile });
  const apps = options.as === "apps" ? makeAppSettings(github.apps) : {};
  const settings: Readonly<Record<string, string>> = { ...made, ...apps, ...options.env };
  const start = async (app: AppName, own: Environment, port?: number): Promise<StackApp> => {
    options.signal?.throwIfAborted();
    const started = await startApp(app, { own, settings, folder, index: parts.apps.length, port });
    parts.apps.push(started);
    return started;
  };
  const stack = {
    ingress: await inTurn(ingress, (own, index) =>
      start("ingress", own, index === 0 ? publicPort : undefined),
    ),
    workers: await inTurn(workers, (own) => start("worker", own)),
    ops: options.ops && (await start("ops", options.ops)),
  };
  for (const app of parts.apps) {
    await app.ready();
    options.signal?.throwIfAborted();
    onReady(app.name, app.name === "worker" ? "takes work from Redis" : app.url);
  }
  const webhookUrl = `${settings.PUBLIC_URL}/webhook`;
  return {
    ...stack,
    ...{ sandbox, redis, settings, webhookUrl, folder },
    async connect(hook = {}) {
      await github.addHook({ url: webhookUrl, secret: settings.WEBHOOK_TOKEN ?? "", ...hook });
    },
    async addWorker(own = {}) {
      const worker = await start("worker", own);
      stack.workers.push(worker);
      await worker.ready();
      return worker;
    },
    stop: () => stopParts(parts),
  };
}

async function inTurn<A, B>(items: readonly A[], work: (item: A, index: number) => Promise<B>): Promise<B[]> {
  const done: B[] = [];
  for (const [index, item] of items.entries()) done.push(await work(item, index));
  return done;
}

async function writeRunners(folder: string, text: string | undefined): Promise<string> {
  if (text === undefined) return join(ROOT, "runners.yaml");
  const file = join(folder, "runners.yaml");
  await writeFile(file, text);
  return file;
}

interface AppPlace {
  readonly own: Environment;
  readonly settings: Environment;
  readonly folder: string;
  /** Tells its log from the others'. */
  readonly index: number;
  readonly port?: number | undefined;
}

async function startApp(app: AppName, { own, settings, folder, index, port }: AppPlace): Promise<StackApp> {
  const [internalPort = 0, freePort = 0] = await findFreePorts(2);
  const publicPort = port ?? freePort;
  const internalUrl = `http://127.0.0.1:${internalPort}`;
  const ports = {
    INTERNAL_PORT: String(internalPort),
    [app === "ops" ? "OPS_PORT" : "PORT"]: String(publicPort),
  };
  const started = startProcess({
    name: app,
    program: process.execPath,
    args: [join("apps", app, "src", "main.ts")],
    env: { PATH, ...COMPILED, ...settings, ...ports, ...own },
    cwd: ROOT,
    logFile: join(folder, `${index}-${app}.log`),
    hasChannel: true,
    isReady: () => answers(`${internalUrl}/readyz`),
  });
  return Object.assign(started, { url: `http://127.0.0.1:${publicPort}`, internalUrl });
}

/** The apps first, then the world they talk to; Redis outlives all who write to it. */
async function stopParts({ apps, sandbox, redis, folder }: Parts): Promise<{ unclean: readonly string[] }> {
  const isOver = apps.map(({ isRunning }) => !isRunning);
  const ends = await Promise.all(apps.map((app) => app.stop()));
  const unclean = apps.filter((_, index) => !isOver[index] && !ends[index]).map(({ name }) => name);
  await sandbox?.close();
  if (redis?.isRunning && !(await redis.stop())) unclean.push(redis.name);
  await rm(folder, { recursive: true, force: true });
  return { unclean };
}
