import { isRedisError } from "@grp/runtime";
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
    const failure = describeFailure(error);
    if (failure.status >= 500) context.logger.error("ops.failed", { path: request.path, error });
    response.status(failure.status);
    const isForPrograms = /^\/(api|queues)\//.test(request.path);
    if (isForPrograms) response.json(failure.body);
    else response.type("html").send(drawError(context, failure));
  };
}

interface Failure {
  readonly status: number;
  readonly body: { readonly error: string; readonly why?: string };
  readonly text: string;
}

const AWAY: Failure = {
  status: 503,
  body: { error: "redis_unavailable", why: "Redis does not answer the ops process" },
  text: "Redis does not answer. This page tries again.",
};
const INTERNAL: Failure = {
  status: 500,
  body: { error: "internal" },
  text: "That did not work; the log of the ops process says why.",
};

function describeFailure(error: unknown): Failure {
  if (isRedisError(error)) return AWAY;
  if (!isAskersFault(error)) return INTERNAL;
  const { status, message } = error;
  return { status, body: { error: "bad_request", why: message }, text: `This can't be read: ${message}` };
}

/** Express' own errors carry a status, as `BadRequestError` does: an address that is ill encoded, for one. */
function isAskersFault(error: unknown): error is Error & { readonly status: number } {
  if (!(error instanceof Error && "status" in error && typeof error.status === "number")) return false;
  return error.status >= 400 && error.status < 500;
}

function drawError({ isReadOnly, now }: OpsContext, { text, status }: Failure): string {
  const body = html`<div class="card empty">${text}</div>`;
  return layOut({ title: "Error", at: now(), isReadOnly, renews: status === AWAY.status, body });
}
