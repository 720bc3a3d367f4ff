import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type Express, type Response } from "express";
import type { Metrics } from "./metrics.ts";
import { explainPort } from "./port-error.ts";
import { within } from "./within.ts";

export interface InternalServerOptions {
  readonly port: number;
  /** All interfaces unless told otherwise: a container's health check and Prometheus come from outside the process. */
  readonly host?: string;
  /** `true`, or why not. A rejection or a second's silence counts as not ready. */
  readonly isReady: () => Promise<true | string>;
  readonly metrics: Metrics;
  /** Sets the state gauges (queue depth, caps) before they are shown. */
  readonly collect?: () => Promise<void>;
}

export interface InternalServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Shorter than the time-out of a usual probe (Kubernetes: 1 s by default, but counted from the connection). */
const READY_DEADLINE_MS = 1_000;
/** Prometheus gives up after 10 s. */
const COLLECT_DEADLINE_MS = 3_000;

/** `/healthz`, `/readyz` and `/metrics` on a port of their own, never the public one. Rejects when the port is taken. */
export async function startInternalServer(options: InternalServerOptions): Promise<InternalServer> {
  const app = express();
  app.disable("x-powered-by");
  app.get("/healthz", (_request, response) => void response.json({ status: "ok" }));
  app.get("/readyz", (_request, response) => answerReady(options, response));
  app.get("/metrics", (_request, response) => answerMetrics(options, response));
  const server = await listen(app, { ...options, setting: "INTERNAL_PORT" });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => closeServer(server),
  };
}

/** Resolves once the server listens; Express 5 gives the callback the error too. `setting` is what named the port. */
export function listen(
  app: Express,
  { port, host, setting }: { readonly port: number; readonly host?: string; readonly setting: string },
): Promise<Server> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error) =>
      error === undefined ? resolve(server) : reject(explainPort(error, setting, port));
    const server: Server = host === undefined ? app.listen(port, done) : app.listen(port, host, done);
  });
}

/** Takes no new connection, drops the idle ones, and after `graceMs`, if `drained`, the others too. */
export function closeServer(
  server: Server,
  graceMs = 1_000,
  drained: Promise<void> = Promise.resolve(),
): Promise<void> {
  return new Promise((resolve) => {
    const deadline = setTimeout(() => void drained.finally(() => server.closeAllConnections()), graceMs);
    server.close(() => {
      clearTimeout(deadline);
      resolve();
    });
  });
}

async function answerReady({ isReady }: InternalServerOptions, response: Response): Promise<void> {
  const verdict = await within(READY_DEADLINE_MS, isReady()).catch((error: unknown) => reasonOf(error));
  if (verdict === true) response.json({ status: "ready" });
  else response.status(503).json({ status: "not ready", reason: verdict });
}

async function answerMetrics({ metrics, collect }: InternalServerOptions, response: Response): Promise<void> {
  // Old gauges are better than none: counters and histograms are this process's own and still right.
  await within(COLLECT_DEADLINE_MS, collect?.() ?? Promise.resolve()).catch(() =>
    metrics.collectErrors.inc(),
  );
  response.type(metrics.registry.contentType).send(await metrics.registry.metrics());
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
