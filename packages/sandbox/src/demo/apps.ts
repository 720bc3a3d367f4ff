import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createSandbox, type Sandbox } from "../sandbox.ts";
import { findFreePorts, redisAnswers } from "./ports.ts";
import { answers, type DemoProcess, startProcess } from "./processes.ts";

/** The whole product, with the sandbox around it. */
export interface DemoStack {
  readonly sandbox: Sandbox;
  readonly webhookUrl: string;
  readonly webhookToken: string;
  readonly opsUrl: string;
  readonly opsUser: string;
  readonly opsPassword: string;
  /** Logs of every process, and Redis's own data. */
  readonly folder: string;
  /** Ends what was started last first; `unclean` names the processes that failed or had to be killed. */
  stop(): Promise<{ readonly unclean: readonly string[] }>;
}

export interface StackOptions {
  readonly root: string;
  readonly path: string;
  readonly signal: AbortSignal;
  readonly onReady: (name: string, what: string) => void;
}

const READY_MS = 20_000;
const STOP_MS = 12_000;

/** Starts Redis, the sandbox, ingress, worker and ops as real processes, and waits until each says that it is ready. */
export async function startStack(options: StackOptions): Promise<DemoStack> {
  const folder = await mkdtemp(join(tmpdir(), "grp-demo-"));
  const processes: DemoProcess[] = [];
  let sandbox: Sandbox | undefined;
  const stop = async () => {
    // Ops, worker, ingress; then the world they talk to; Redis last.
    const [redis, ...apps] = processes;
    const unclean: string[] = [];
    for (const app of apps.toReversed()) if (!(await app.stop(STOP_MS))) unclean.push(app.name);
    await sandbox?.close();
    if (redis && !(await redis.stop(STOP_MS))) unclean.push(redis.name);
    await rm(folder, { recursive: true, force: true });
    return { unclean };
  };
  try {
    // The boot scripts' only need beyond what every system has; the images of EC2 and CodeMagic have it too.
    if (!findProgram(["curl"], options.path)) throw new Error("There is no curl on PATH: run `make setup`.");
    const [redisPort = 0, ...ports] = await findFreePorts(6);
    processes.push(await startRedis(redisPort, folder, options));
    sandbox = await createSandbox({ bootMs: 500 });
    const settings = await settingsOf({ sandbox, redisPort, ports, folder });
    options.onReady(
      "sandbox",
      `GitHub ${sandbox.github.url}, EC2 ${sandbox.ec2.url}, CodeMagic ${sandbox.codemagic.url}`,
    );
    for (const app of appsOf(settings, ports)) {
      options.signal.throwIfAborted();
      processes.push(await startApp(app, { ...options, folder, env: settings.env }));
      options.onReady(app.name, app.address);
    }
    return { ...settings, sandbox, folder, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startRedis(port: number, folder: string, options: StackOptions): Promise<DemoProcess> {
  const program = findProgram(["redis-server", "valkey-server"], options.path);
  if (!program) throw new Error("There is no redis-server or valkey-server on PATH: run `make setup`.");
  const redis = startProcess({
    name: "redis",
    program,
    args: [
      ...["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""],
      ...["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--daemonize", "no"],
    ],
    env: { PATH: options.path },
    cwd: folder,
    logFile: join(folder, "redis.log"),
  });
  await redis.ready(() => redisAnswers(port), READY_MS);
  options.onReady("redis", `127.0.0.1:${port}, append-only file on`);
  return redis;
}

interface Settings {
  readonly webhookUrl: string;
  readonly webhookToken: string;
  readonly opsUrl: string;
  readonly opsUser: string;
  readonly opsPassword: string;
  readonly env: Readonly<Record<string, string>>;
}

/** The environment that `.env.example` explains, with the sandbox in place of the world. */
async function settingsOf(world: {
  sandbox: Sandbox;
  redisPort: number;
  ports: readonly number[];
  folder: string;
}): Promise<Settings> {
  const { sandbox, ports, folder } = world;
  const [ingressPort, , , , opsPort] = portsOf(ports);
  const secret = () => randomBytes(24).toString("base64url");
  const [webhookToken, opsPassword] = [secret(), secret().slice(0, 12)];
  const certificates = join(folder, "identity.pem");
  await writeFile(certificates, sandbox.machines.certificate);
  const publicUrl = `http://127.0.0.1:${ingressPort}`;
  return {
    webhookUrl: `${publicUrl}/webhook`,
    webhookToken,
    opsUrl: `http://127.0.0.1:${opsPort}`,
    opsUser: "demo",
    opsPassword,
    env: {
      GRP_ENV_FILE: "none",
      GRP_INSTALLATION: "demo",
      REDIS_URL: `redis://127.0.0.1:${world.redisPort}`,
      PUBLIC_URL: publicUrl,
      PORT: String(ingressPort),
      OPS_PORT: String(opsPort),
      OPS_HOST: "127.0.0.1",
      OPS_USER: "demo",
      OPS_PASSWORD: opsPassword,
      WEBHOOK_TOKEN: webhookToken,
      TICKET_SECRET: secret(),
      GITHUB_TOKEN: sandbox.github.token,
      GITHUB_API_URL: sandbox.github.url,
      CODEMAGIC_TOKEN: sandbox.codemagic.token,
      CODEMAGIC_API_URL: sandbox.codemagic.url,
      CODEMAGIC_V3_API_URL: sandbox.codemagic.v3Url,
      CODEMAGIC_APP_ID: sandbox.codemagic.appId,
      AWS_ENDPOINT_URL: sandbox.ec2.url,
      AWS_ENDPOINT_URL_EC2: sandbox.ec2.url,
      AWS_ENDPOINT_URL_SSM: sandbox.ec2.url,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "AKIASANDBOX",
      AWS_SECRET_ACCESS_KEY: "sandbox",
      AWS_IDENTITY_CERTIFICATES: certificates,
      ALLOWED_OWNERS: "acme",
      EC2_SUBNETS: "subnet-0000000000000000a,subnet-0000000000000000b",
      EC2_SECURITY_GROUPS: "sg-00000000000000000",
      LOG_LEVEL: "info",
    },
  };
}

/** ingress, its inside, worker's inside, ops' inside, ops */
function portsOf(ports: readonly number[]): readonly [number, number, number, number, number] {
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = ports;
  return [a, b, c, d, e];
}

interface App {
  readonly name: string;
  readonly internalPort: number;
  readonly address: string;
}

function appsOf(settings: Settings, ports: readonly number[]): readonly App[] {
  const [, ingress, worker, ops] = portsOf(ports);
  return [
    { name: "ingress", internalPort: ingress, address: settings.webhookUrl },
    { name: "worker", internalPort: worker, address: "takes work from Redis" },
    { name: "ops", internalPort: ops, address: settings.opsUrl },
  ];
}

async function startApp(
  app: App,
  options: StackOptions & { readonly folder: string; readonly env: Readonly<Record<string, string>> },
): Promise<DemoProcess> {
  const started = startProcess({
    name: app.name,
    program: process.execPath,
    args: [join("apps", app.name, "src", "main.ts")],
    env: { PATH: options.path, ...options.env, INTERNAL_PORT: String(app.internalPort) },
    cwd: options.root,
    logFile: join(options.folder, `${app.name}.log`),
    hasChannel: true,
  });
  try {
    await started.ready(() => answers(`http://127.0.0.1:${app.internalPort}/readyz`), READY_MS);
    return started;
  } catch (error) {
    await started.stop(STOP_MS);
    throw error;
  }
}

function findProgram(names: readonly string[], path: string): string | undefined {
  return names.flatMap((name) => path.split(delimiter).map((folder) => join(folder, name))).find(existsSync);
}
