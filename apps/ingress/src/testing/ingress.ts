import { createHmac, randomUUID } from "node:crypto";
import { once } from "node:events";
import { Writable } from "node:stream";
import { createTicketSigner, type ProviderName, type TicketSigner } from "@grp/core";
import { createGitHub } from "@grp/github";
import { createLedger, type Ledger } from "@grp/ledger";
import { createQueueProducer, type QueueProducer } from "@grp/queue";
import { closeRedis, createLogger, createMetrics, createRedis, type Metrics } from "@grp/runtime";
import type { TestRedis } from "../../../../test/support/redis.ts";
import { createAdmission } from "../admission.ts";
import { createIdentityCheck } from "../claims/identity.ts";
import { readIdentityCertificates } from "../claims/identity-certificates.ts";
import { createClaimsInHand } from "../claims/in-hand.ts";
import { createRegistrations } from "../claims/registrations.ts";
import type { IngressContext } from "../context.ts";
import { createRoutes } from "../routes.ts";
import { startPublicServer } from "../server.ts";
import { createSignatureCheck } from "../webhook/verify.ts";
import { CATALOG } from "./catalog.ts";

export const WEBHOOK_SECRETS = ["the webhook secret of tests", "the previous webhook secret"] as const;
export const TICKET_SECRETS = ["the ticket secret of tests", "the previous ticket secret"] as const;

/** As in `main.ts`. */
const REDIS_TIMEOUT_MS = 800;

export interface IngressOptions {
  readonly redis: TestRedis;
  /** GitHub's API; a port where nobody listens unless told otherwise. */
  readonly github?: { readonly url: string; readonly token: string };
  readonly admission?: { readonly requests: number; readonly bytes: number };
  readonly limits?: Parameters<typeof startPublicServer>[1]["limits"];
  /** Replaces parts of the context. */
  readonly context?: Partial<IngressContext>;
  /** False where Redis is away on purpose. */
  readonly waitForRedis?: boolean;
}

/** One line of the log, as it was written. */
export type LogLine = Readonly<Record<string, unknown>> & {
  readonly level: string;
  readonly message: string;
};

/** The real public server with real Redis, ledger, queue, log and GitHub client; asked over HTTP. */
export interface TestIngress {
  readonly url: string;
  readonly port: number;
  readonly ledger: Ledger;
  readonly producer: QueueProducer;
  readonly signer: TicketSigner;
  readonly metrics: Metrics;
  /** The whole log as text: what must hold no secret. */
  logText(): string;
  logLines(message?: string): LogLine[];
  /** Resolves with the first line of that name after now, or with one that is there already. */
  logged(message: string): Promise<LogLine>;
  /** Queue jobs that wait (now or for their time), by provider. */
  waiting(provider: ProviderName): Promise<number>;
  delayed(provider: ProviderName): Promise<number>;
  /** The public port alone, as the first step of the whole close. */
  closeServer(): Promise<void>;
  close(): Promise<void>;
}

export async function startIngress(options: IngressOptions): Promise<TestIngress> {
  const onError = () => undefined;
  const { redis, waitForRedis = true } = options;
  const log = captureLog();
  const client = createRedis(redis.url, { name: "test", commandTimeoutMs: REDIS_TIMEOUT_MS, onError });
  const producer = createQueueProducer({ redisUrl: redis.url, deadlineMs: REDIS_TIMEOUT_MS, onError });
  if (waitForRedis && client.status !== "ready") await once(client, "ready");
  const { url, token } = options.github ?? { url: "http://127.0.0.1:1", token: "none" };
  const context: IngressContext = {
    catalog: CATALOG,
    installation: "grp",
    ledger: createLedger({ redis: client }),
    producer,
    github: createGitHub({ auth: { kind: "pat", token }, baseUrl: url }),
    signer: createTicketSigner(TICKET_SECRETS),
    isSigned: createSignatureCheck(WEBHOOK_SECRETS),
    checkIdentity: createIdentityCheck(readIdentityCertificates()),
    registrations: createRegistrations(),
    claimsInHand: createClaimsInHand(),
    log: createLogger({ app: "ingress", level: "debug", stream: log.stream }),
    metrics: createMetrics({ app: "ingress" }),
    now: Date.now,
    endGraceMs: 60_000,
    ...options.context,
  };
  const routes = createRoutes(context, createAdmission(options.admission));
  const server = await startPublicServer(routes, {
    ...{ port: 0, host: "127.0.0.1", limits: options.limits },
    endInHand: () => context.claimsInHand.end(),
  });
  const count = async (provider: ProviderName, state: string) =>
    (await producer.counts()).find((one) => one.provider === provider && one.state === state)?.count ?? 0;
  return {
    url: `http://127.0.0.1:${server.port}`,
    port: server.port,
    ledger: context.ledger,
    producer,
    signer: context.signer,
    metrics: context.metrics,
    ...log,
    waiting: (provider) => count(provider, "waiting"),
    delayed: (provider) => count(provider, "delayed"),
    closeServer: () => server.close(),
    async close() {
      await server.close();
      await producer.close();
      await closeRedis(client);
    },
  };
}

type CapturedLog = Pick<TestIngress, "logText" | "logLines" | "logged"> & { readonly stream: Writable };

function captureLog(): CapturedLog {
  let text = "";
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      stream.emit("line");
      done();
    },
  });
  const logLines = (message?: string) =>
    text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as LogLine)
      .filter((line) => message === undefined || line.message === message);
  return {
    stream,
    logText: () => text,
    logLines,
    async logged(message) {
      for (;;) {
        const found = logLines(message).at(-1);
        if (found) return found;
        await once(stream, "line", { signal: AbortSignal.timeout(5_000) });
      }
    },
  };
}

/** The record once it says that its demand is in the queue, which nobody waits for. */
export async function recordWithMark(ingress: TestIngress, key: string) {
  const end = Date.now() + 5_000;
  for (;;) {
    const record = await ingress.ledger.getWorkflowJob(key);
    if (record?.times.enqueued !== undefined) return record;
    if (Date.now() > end) throw new Error(`${key} is not marked as enqueued within 5 s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export interface DeliveryOptions {
  readonly event?: string;
  readonly deliveryId?: string;
  readonly secret?: string;
  readonly form?: boolean;
  /** `?dry-run=true`, with the `?`. */
  readonly query?: string;
  /** Over the usual ones; null leaves one out. */
  readonly headers?: Readonly<Record<string, string | null>>;
}

export interface TestAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly headers: Headers;
  readonly ms: number;
}

/** Signed as GitHub signs: over the bytes that are sent. */
export function sign(body: string | Buffer, secret: string = WEBHOOK_SECRETS[0]): string {
  return `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
}

/** A payload as GitHub sends it; text goes as it is. */
export function deliver(
  ingress: TestIngress,
  payload: object | string,
  options: DeliveryOptions = {},
): Promise<TestAnswer> {
  const json = typeof payload === "string" ? payload : JSON.stringify(payload);
  const body = options.form ? new URLSearchParams({ payload: json }).toString() : json;
  const headers: Record<string, string | null> = {
    "content-type": options.form ? "application/x-www-form-urlencoded" : "application/json",
    "user-agent": "GitHub-Hookshot/test",
    "x-github-event": options.event ?? "workflow_job",
    "x-github-delivery": options.deliveryId ?? randomUUID(),
    "x-github-hook-id": "1",
    "x-hub-signature-256": sign(body, options.secret),
    ...options.headers,
  };
  return post(`${ingress.url}/webhook${options.query ?? ""}`, body, headers);
}

export async function post(
  url: string,
  body: string,
  headers: Readonly<Record<string, string | null>>,
  signal?: AbortSignal,
): Promise<TestAnswer> {
  const given = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== null);
  const begun = performance.now();
  // Bytes, so that fetch adds no content type of its own.
  const bytes = new TextEncoder().encode(body);
  const response = await fetch(url, { method: "POST", headers: given, body: bytes, signal: signal ?? null });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json");
  const parsed = isJson ? (JSON.parse(text) as TestAnswer["body"]) : {};
  const ms = performance.now() - begun;
  return { status: response.status, body: parsed, text, headers: response.headers, ms };
}
