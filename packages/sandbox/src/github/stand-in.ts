import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type AppState, createCredentials, type SandboxApp } from "./credentials.ts";
import {
  createHours,
  createPointCounter,
  createRegistrationCounter,
  limitRest,
  type PointLimits,
  refuse,
} from "./limits.ts";
import { createValidator, loadDescription } from "./openapi.ts";
import { createRest, type RestCall } from "./rest.ts";
import { createRoutes } from "./routes.ts";
import { buildRunnerPackage } from "./runner-program.ts";
import { createRunnerProtocol } from "./runner-protocol.ts";
import { createFaultScript, type FaultScript, rateLimitAnswer, type ScriptedFault } from "./script.ts";
import type { StandInRunner, StandInWorkflowJob, Violation } from "./types.ts";
import { createWebhooks, type Webhooks } from "./webhooks.ts";
import { createWorld, type QueueOrder, type World } from "./world.ts";

export interface GitHubStandInOptions {
  /** 0 or absent: any free port. */
  readonly port?: number;
  /** The personal access token that is good here. */
  readonly token?: string;
  /** GitHub Apps, each with a count of its own; one unless told otherwise. */
  readonly apps?: number;
  /** `owner/name` of those that there are, besides those with a workflow job; whichever is asked for unless told otherwise. */
  readonly repositories?: readonly string[];
  /** Runner groups of every organization; the first is the default one. */
  readonly runnerGroups?: readonly string[];
  /** GitHub's secondary limits; none are counted without. */
  readonly limits?: PointLimits;
  /** How long a runner may be silent in mid-job before its job fails; GitHub takes about ten minutes. */
  readonly lostAfterMs?: number;
  readonly now?: () => number;
}

/** One REST request as it arrived and what it got. */
export interface GitHubCall {
  readonly route: string;
  readonly operationId: string;
  /** 0 when the answer was lost on purpose. */
  readonly status: number;
  /** `token`, `app-4242`, `installation of app-4242` or `nobody`. */
  readonly caller: string;
}

export interface GitHubStandIn extends Omit<Webhooks, "announce" | "redeliver" | "close"> {
  /** Also good with `/api/v3` at its end, as a GitHub Enterprise Server's. */
  readonly url: string;
  readonly token: string;
  readonly apps: readonly [SandboxApp, ...SandboxApp[]];
  /** As its owner, or an organization's, does it. */
  setApp(appId: number, state: AppState): void;
  /** Every request in order; forget them with `calls.length = 0`. */
  readonly calls: GitHubCall[];
  /** Requests that were refused for its limits. */
  refused(): number;
  /** Must stay empty: what GitHub's own description does not allow. */
  readonly violations: readonly Violation[];
  /** Makes a workflow job and sends its `queued` event to every hook that hears of it. */
  queueWorkflowJob(order: QueueOrder): StandInWorkflowJob;
  /** As a person does in the browser: before its start, or in the middle. */
  cancelWorkflowJob(workflowJobId: number): void;
  workflowJobs(): readonly StandInWorkflowJob[];
  /** Every registration ever minted, the ended ones too. */
  registrations(): readonly StandInRunner[];
  /** As GitHub does to a runner program that has not been updated for a month. */
  refuseRunnerVersion(version: string): void;
  /** Those still on GitHub's list. */
  runners(): readonly StandInRunner[];
  /** The next `times` requests that match (part of `POST /path` or of GitHub's operation id) fail and have no effect. */
  failNext(status: number, match?: string, times?: number): void;
  /** Every matching request of that caller (`app-4242`, as in `calls`) fails and has no effect, until what it gives is called. */
  failWhile(status: number, of: { readonly match: string; readonly caller: string }): () => void;
  /** The next matching request happens, and its answer never comes: the connection breaks. */
  loseNextResponse(match?: string): void;
  /** The next matching request is held for that long before it happens. */
  delayNextResponse(delayMs: number, match?: string): void;
  rateLimitNext(kind: "primary" | "secondary", retryAfterS?: number, match?: string): void;
  /** Resolves when `isTrue` holds; looked at after every change in this world. */
  until: World["until"];
  close(): Promise<void>;
}

/** More than any test asks. */
const UNCOUNTED = 1_000_000;

/** GitHub's REST API and webhooks over HTTP, checked against GitHub's own OpenAPI description in both directions. */
export async function createGitHubStandIn(options: GitHubStandInOptions = {}): Promise<GitHubStandIn> {
  const now = options.now ?? Date.now;
  const token = options.token ?? "ghp_sandbox";
  const [description, program] = await Promise.all([loadDescription(), buildRunnerPackage()]);
  const api = await createValidator(description);
  const credentials = createCredentials(token, now, options.apps);
  const script = createFaultScript();
  const calls: GitHubCall[] = [];
  const violations: Violation[] = [];
  const world: World = createWorld({
    now,
    onTransition: (job, transition) => webhooks.announce(job, transition),
  });
  const webhooks = createWebhooks({ now, nextId: world.nextId, touch: world.touch });
  const server = createServer();
  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const protocol = createRunnerProtocol({ world, url, now, lostAfterMs: options.lostAfterMs ?? 5_000 });
  const groups = options.runnerGroups ?? ["Default"];
  const routes = createRoutes({ world, webhooks, protocol, credentials, program, groups, url });
  const isThere = createCensus(world, options.repositories);
  const rest = createRest({ api, description, routes, credentials, script, violations, isThere });
  const counters = options.limits && createCounters(options.limits, now);
  const { callerOf } = credentials;
  const limited = counters ? limitRest(rest, { ...counters, callerOf, now }) : rest;
  const countHour = createHours(options.limits?.hourly ?? UNCOUNTED, now);

  async function serveRest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = await readCall(request);
    const caller = credentials.callerOf(call.headers.authorization)?.name ?? "nobody";
    const hour = countHour(caller);
    const { operationId, answer, isLost } = hour.refused ? refuse(hour.refused) : await limited(call);
    const status = isLost ? 0 : answer.status;
    calls.push({ route: `${call.method} ${call.path}`, operationId, status, caller });
    world.touch();
    if (isLost) return void request.socket.destroy();
    response.writeHead(answer.status, {
      "content-type": "application/json; charset=utf-8",
      "x-github-request-id": "SANDBOX",
      date: new Date(now()).toUTCString(),
      ...hour.headers,
      ...answer.headers,
      ...(answer.headers?.link && { link: nextLink(url(), request, answer.headers.link) }),
    });
    response.end(answer.body && JSON.stringify(answer.body));
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "/";
    if (path.startsWith("/_runner/")) return await protocol.answer(request, response);
    if (path.startsWith("/_downloads/")) return void response.writeHead(200).end(program.tarball);
    await serveRest(request, response);
  }

  server.on("request", (request, response) => {
    serve(request, response).catch((error: unknown) => confess(error, response));
  });
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");

  return {
    url: url(),
    token,
    apps: credentials.apps,
    setApp: credentials.setState,
    calls,
    refused: () => (counters ? counters.points.refused() + counters.registrations.refused() : 0),
    violations,
    hooks: webhooks.hooks,
    deliveries: webhooks.deliveries,
    addHook: webhooks.addHook,
    disturb: webhooks.disturb,
    dropNext: webhooks.dropNext,
    duplicateNext: webhooks.duplicateNext,
    delayNext: webhooks.delayNext,
    queueWorkflowJob: world.queue,
    cancelWorkflowJob(workflowJobId) {
      const job = world.jobs.get(workflowJobId);
      if (job) world.finish(job, "cancelled");
    },
    workflowJobs: () => [...world.jobs.values()],
    registrations: () => [...world.runners.values()],
    refuseRunnerVersion: protocol.refuse,
    runners: () => [...world.runners.values()].filter((runner) => runner.gone === undefined),
    ...createFaults(script, now),
    until: world.until,
    async close() {
      protocol.close();
      await webhooks.close();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Whether a repository is there, by its full name. */
function createCensus(
  { jobs }: World,
  repositories: readonly string[] | undefined,
): (name: string) => boolean {
  if (!repositories) return () => true;
  return (name) => {
    const known = [...repositories, ...[...jobs.values()].map((job) => `${job.owner}/${job.repository}`)];
    return known.some((one) => one.toLowerCase() === name.toLowerCase());
  };
}

function createCounters(limits: PointLimits, now: () => number) {
  return {
    points: createPointCounter(limits, now),
    registrations: createRegistrationCounter(limits.registrations, now),
  };
}

/** A bug of the stand-in: said aloud, or the client would see a broken connection and try again. */
function confess(error: unknown, response: ServerResponse): void {
  if (!response.headersSent) response.writeHead(500, { "content-type": "text/plain" });
  response.end(error instanceof Error ? error.stack : String(error));
}

function createFaults(
  script: FaultScript,
  now: () => number,
): Pick<
  GitHubStandIn,
  "failNext" | "failWhile" | "loseNextResponse" | "delayNextResponse" | "rateLimitNext"
> {
  const plan = (kind: ScriptedFault["kind"], match = "", more: Partial<ScriptedFault> = {}) =>
    script.add({ kind, match, times: 1, ...more });
  return {
    failNext: (status, match, times = 1) => plan("fail", match, { status, times }),
    failWhile(status, of) {
      const fault: ScriptedFault = { kind: "fail", status, times: Number.POSITIVE_INFINITY, ...of };
      script.add(fault);
      return () => script.remove(fault);
    },
    loseNextResponse: (match) => plan("lose", match),
    delayNextResponse: (delayMs, match) => plan("delay", match, { delayMs }),
    rateLimitNext: (kind, retryAfterS = 60, match = "") =>
      plan("fail", match, rateLimitAnswer(kind, retryAfterS, now())),
  };
}

async function readCall(request: IncomingMessage): Promise<RestCall> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString("utf8");
  const address = new URL(request.url ?? "/", "http://sandbox");
  return {
    method: request.method ?? "GET",
    path: address.pathname.replace(/^\/api\/v3(?=\/)/, ""),
    query: Object.fromEntries(address.searchParams),
    headers: request.headers as Record<string, string>,
    body: text === "" ? undefined : JSON.parse(text),
  };
}

function nextLink(url: string, request: IncomingMessage, query: string): string {
  const next = new URL(request.url ?? "/", url);
  for (const [name, value] of new URLSearchParams(query)) next.searchParams.set(name, value);
  return `<${next.href}>; rel="next"`;
}
