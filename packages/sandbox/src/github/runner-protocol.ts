import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { StandInRunner } from "./types.ts";
import type { World } from "./world.ts";

const POLL_MS = 20_000;
/** A runner between two polls is not offline yet. */
const GRACE_MS = 1_500;

export interface RunnerProtocol {
  /** The secret that goes out with a registration: base64 of a JSON map of file name to base64, as GitHub's. */
  encodeJitConfig(runner: StandInRunner): string;
  /** Answers the runner program: `/_runner/session`, `/_runner/message`, `/_runner/job`. */
  answer(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** From now on the runner programs of this version are told that they are deprecated, and get no job. */
  refuse(version: string): void;
  close(): void;
}

interface Session {
  readonly runner: StandInRunner;
  offlineTimer?: NodeJS.Timeout | undefined;
}

/** The sandbox's own small protocol between its runner program and its GitHub: connect, wait for one job, wait for its end. */
export function createRunnerProtocol(options: {
  world: World;
  url: () => string;
  now: () => number;
  /** How long GitHub waits for a runner that went silent in mid-job before it fails the job. */
  lostAfterMs: number;
}): RunnerProtocol {
  const { world, now } = options;
  const tokens = new Map<string, Session>();
  const refused = new Set<string | undefined>();
  const timers = createTimers();
  const tools = { world, timers };
  const jobOf = (runner: StandInRunner) => world.jobs.get(runner.workflowJobId ?? 0);

  function hear(session: Session): void {
    timers.cancel(session.offlineTimer);
    session.offlineTimer = undefined;
    if (session.runner.status === "offline" && !session.runner.gone) world.setOnline(session.runner, true);
  }

  /** The connection ended: unless it comes back, the runner is offline, and a job in its hands is lost. */
  function fallSilent(session: Session): void {
    timers.cancel(session.offlineTimer);
    session.offlineTimer = timers.start(session.runner.busy ? options.lostAfterMs : GRACE_MS, () => {
      const job = jobOf(session.runner);
      if (job?.status === "in_progress") world.finish(job, "failure");
      else if (!session.runner.gone) world.setOnline(session.runner, false);
    });
  }

  async function serveMessage(
    session: Session,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { runner } = session;
    const isOpen = await hold(
      tools,
      request,
      () => runner.gone !== undefined || runner.workflowJobId !== undefined,
    );
    fallSilent(session);
    if (!isOpen) return;
    const job = jobOf(runner);
    if (runner.gone === "deleted" || !job) response.writeHead(runner.gone ? 404 : 204).end();
    else response.writeHead(200).end(`name=${job.name}\n`);
  }

  /** The job's length is kept here, so that a cancellation ends it at once. */
  async function serveJob(
    session: Session,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const job = jobOf(session.runner);
    if (!job) return void response.writeHead(404).end();
    const leftMs = (job.startedAt ?? now()) + job.durationMs - now();
    const isOver = () => job.status === "completed";
    const isOpen = leftMs <= 0 || (await hold(tools, request, isOver, Math.min(leftMs, POLL_MS)));
    if (!isOpen) return fallSilent(session);
    if (!isOver() && now() < (job.startedAt ?? 0) + job.durationMs) {
      fallSilent(session);
      return void response.writeHead(204).end();
    }
    timers.cancel(session.offlineTimer);
    world.finish(job, job.ending);
    const words = { success: "Succeeded", failure: "Failed", cancelled: "Canceled" } as const;
    response.writeHead(200).end(words[job.conclusion ?? job.ending]);
  }

  function serveSession(session: Session, isEnd: boolean): void {
    if (isEnd && !session.runner.busy) world.setOnline(session.runner, false);
    else fallSilent(session);
  }

  return {
    encodeJitConfig(runner) {
      const token = randomBytes(24).toString("hex");
      tokens.set(token, { runner });
      return encodeConfig(runner, { token, serverUrl: `${options.url()}/_runner` });
    },
    async answer(request, response) {
      const session = tokens.get(request.headers.authorization?.replace(/^Bearer /, "") ?? "");
      if (!session) return void response.writeHead(401).end();
      const { runner } = session;
      if (runner.gone === "deleted") return void response.writeHead(404).end();
      const { path, version } = readAddress(request);
      runner.version ??= version;
      if (refused.has(runner.version)) return refuseVersion(runner, path, response);
      hear(session);
      if (path === "/message") return await serveMessage(session, request, response);
      if (path === "/job") return await serveJob(session, request, response);
      serveSession(session, request.method === "DELETE");
      response.writeHead(204).end();
    },
    refuse: (version) => void refused.add(version),
    close: timers.close,
  };
}

/** Holds the request until `isTrue` or the poll's time is over; false when the runner went away. */
async function hold(
  { world, timers }: { world: World; timers: Timers },
  request: IncomingMessage,
  isTrue: () => boolean,
  ms = POLL_MS,
): Promise<boolean> {
  const over = Promise.withResolvers<void>();
  let isOpen = true;
  const close = () => {
    isOpen = false;
    over.resolve();
  };
  const unwatch = world.watch(() => isTrue() && over.resolve());
  const timer = timers.start(ms, over.resolve);
  request.socket.once("close", close);
  if (!isTrue()) await over.promise;
  request.socket.off("close", close);
  timers.cancel(timer);
  unwatch();
  return isOpen;
}

function readAddress(request: IncomingMessage): { path: string; version: string | undefined } {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://sandbox");
  return { path: pathname.replace(/^.*\/_runner/, ""), version: searchParams.get("version") ?? undefined };
}

/** GitHub takes the session of a program that is too old, and tells it so when it asks for work. */
function refuseVersion({ version }: StandInRunner, path: string, response: ServerResponse): void {
  if (path !== "/message") return void response.writeHead(204).end();
  response.writeHead(403).end(`Runner version v${version} is deprecated and cannot receive messages.`);
}

/** A registration as its machine gets it. */
function encodeConfig(runner: StandInRunner, options: { token: string; serverUrl: string }): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64");
  return encode({
    ".runner": encode({
      agentId: runner.id,
      agentName: runner.name,
      poolId: runner.groupId,
      ephemeral: true,
      serverUrl: options.serverUrl,
    }),
    ".credentials": encode({ scheme: "OAuth", data: { token: options.token } }),
    ".credentials_rsaparams": encode({ modulus: randomBytes(256).toString("base64") }),
  });
}

interface Timers {
  /** Undefined once closed: a connection that ends with its server starts nothing any more. */
  start(ms: number, work: () => void): NodeJS.Timeout | undefined;
  cancel(timer: NodeJS.Timeout | undefined): void;
  close(): void;
}

function createTimers(): Timers {
  const running = new Set<NodeJS.Timeout>();
  let isClosed = false;
  const cancel = (timer: NodeJS.Timeout | undefined) => {
    clearTimeout(timer);
    if (timer) running.delete(timer);
  };
  return {
    start(ms, work) {
      if (isClosed) return undefined;
      const timer = setTimeout(() => {
        running.delete(timer);
        work();
      }, ms);
      running.add(timer);
      return timer;
    },
    cancel,
    close() {
      isClosed = true;
      running.forEach(cancel);
    },
  };
}
