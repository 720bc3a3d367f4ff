import { QueueUnavailableError } from "@grp/queue";
import express, { type ErrorRequestHandler, type Express, type Router } from "express";
import type { Credentials } from "../config.ts";
import { html } from "../pages/html.ts";
import { layOut } from "../pages/layout.ts";
import { createPages } from "../pages/pages.ts";
import type { OpsContext } from "./actions.ts";
import { createApi } from "./api.ts";
import { refuseOtherSites, requireCredentials, requireLoopbackName, securityHeaders } from "./guards.ts";

export const BOARD_PATH = "/queues";

export interface OpsAppOptions {
  readonly context: OpsContext;
  readonly credentials?: Credentials;
  /** bull-board, already read-only or not. */
  readonly board: Router | Express;
}

/** Everything that people look at. Each request passes the guards first, whatever it asks for. */
export function createOpsApp({ context, credentials, board }: OpsAppOptions): Express {
  const app = express();
  app.disable("x-powered-by");
  app.use(securityHeaders);
  app.use(credentials ? requireCredentials(credentials) : requireLoopbackName);
  app.use(refuseOtherSites);
  app.use("/api", createApi(context));
  app.use(BOARD_PATH, board);
  app.use(createPages(context));
  app.use(answerError(context));
  return app;
}

function answerError(context: OpsContext): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent) return next(error);
    const isAway = error instanceof QueueUnavailableError || isRedisError(error);
    context.logger.error("ops.failed", { path: request.path, error });
    response.status(isAway ? 503 : 500);
    const isForPrograms = /^\/(api|queues)\//.test(request.path);
    if (isForPrograms) response.json(isAway ? AWAY : { error: "internal" });
    else response.type("html").send(drawError(context, isAway));
  };
}

const AWAY = { error: "redis_unavailable", why: "Redis does not answer the ops process" };

function drawError({ isReadOnly, now }: OpsContext, isAway: boolean): string {
  const text = isAway
    ? "Redis does not answer. This page tries again."
    : "That did not work; the log of the ops process says why.";
  const body = html`<div class="card empty">${text}</div>`;
  return layOut({ title: "Error", at: now(), isReadOnly, renews: isAway, body });
}

/** ioredis' own: the server's answers, a command's time-out, a connection that isn't there. */
function isRedisError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const text = `${error.name} ${error.message}`;
  return /ReplyError|MaxRetriesPerRequest|Command timed out|Stream isn't writeable|Connection is closed/.test(
    text,
  );
}
