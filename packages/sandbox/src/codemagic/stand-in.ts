import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createBuilds } from "./builds.ts";
import { answerCall } from "./routes.ts";
import { createScript } from "./script.ts";
import type { CodemagicBuild, CodemagicStandInOptions, Reply } from "./types.ts";

export interface CodemagicStandIn {
  /** v1. */
  readonly url: string;
  readonly v3Url: string;
  readonly token: string;
  readonly appId: string;
  /** Every call in order: `GET /builds?appId=…`. */
  readonly calls: readonly string[];
  /** Every build ever started, the ended ones too. */
  builds(): readonly CodemagicBuild[];
  get(buildId: string): CodemagicBuild | undefined;
  /** Its scripts are through, or took too long. */
  endBuild(buildId: string, outcome: "finished" | "failed" | "timeout"): void;
  /** Any status, also one that nobody knows. */
  setStatus(buildId: string, status: string): void;
  /** A build that someone else started. */
  addForeign(labels?: readonly string[]): void;
  /** The next call gets this status and has no effect. */
  failNext(status: number, headers?: Readonly<Record<string, string>>): void;
  /** The next POST happens, and its answer never comes: the connection breaks. */
  loseNextResponse(): void;
  /** The next call is never answered; resolves when it has arrived. */
  hangNext(): Promise<void>;
  /** v1 forgets its builds: only v3 knows them. */
  hideFromV1(isHidden: boolean): void;
  close(): Promise<void>;
}

const HOUR_MS = 3_600_000;

function headersOf(left: number, endsAt: number): Record<string, string> {
  if (!Number.isFinite(left)) return {};
  const resetS = Math.ceil((endsAt - Date.now()) / 1_000);
  return { "ratelimit-remaining": String(Math.max(0, left)), "ratelimit-reset": String(resetS) };
}

/** CodeMagic's v1 API (and what of v3 reads one build) over HTTP, as far as grp uses it. */
export async function createCodemagicStandIn(
  options: CodemagicStandInOptions = {},
): Promise<CodemagicStandIn> {
  const token = options.token ?? `cm-${randomBytes(12).toString("hex")}`;
  const appId = options.appId ?? randomBytes(12).toString("hex");
  const builds = createBuilds({ ...options, appId });
  const script = createScript();
  const calls: string[] = [];
  const endsAt = Date.now() + HOUR_MS;
  let isHidden = false;
  const context = { options: { ...options, appId }, builds, isHiddenFromV1: () => isHidden };

  const decide = (request: IncomingMessage, body: string): Reply => {
    if (request.headers["x-auth-token"] !== token) return [401, { error: "Unauthorized" }];
    return answerCall(context, request.method ?? "GET", new URL(request.url ?? "/", "http://stand-in"), body);
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await textOf(request);
    calls.push(`${request.method} ${request.url}`);
    const fate = script.next(request.method ?? "GET");
    if (fate.isToHang) return;
    const { failure } = fate;
    // It quotes what it was sent, the worst that an answer may do.
    const error = `told to fail ${request.headers["x-auth-token"]} ${ticketIn(body)}`;
    if (failure) return send(response, [failure.status, { error }], failure.headers);
    const left = (options.hourly ?? Number.POSITIVE_INFINITY) - calls.length;
    const reply: Reply = left < 0 ? [429, { detail: "Too many requests" }] : decide(request, body);
    if (fate.isToLose) request.socket.destroy();
    else send(response, reply, headersOf(left, endsAt));
  }

  const server = createServer((request, response) => void answer(request, response));
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    v3Url: `${url}/api/v3`,
    token,
    appId,
    calls,
    builds: () => builds.all,
    get: builds.find,
    endBuild: builds.end,
    setStatus: builds.setStatus,
    addForeign: (labels = []) => void builds.add({ labels }),
    failNext: script.failNext,
    loseNextResponse: script.loseNext,
    hangNext: script.hangNext,
    hideFromV1(hide) {
      isHidden = hide;
    },
    async close() {
      builds.close();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

function send(
  response: ServerResponse,
  [status, body]: Reply,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

function ticketIn(body: string): string {
  return /grp1\.[\w.-]+/.exec(body)?.[0] ?? "";
}
