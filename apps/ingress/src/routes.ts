import type { IncomingMessage, ServerResponse } from "node:http";
import { isRedisError } from "@grp/runtime";
import express, { type Express, type NextFunction, type Request, type Response } from "express";
import type { z } from "zod";
import { type Admission, createAdmission } from "./admission.ts";
import { authenticate, RETRY_SECONDS, refuse } from "./claims/authenticate.ts";
import { claim, claimBody } from "./claims/claim.ts";
import { createDoubts } from "./claims/doubts.ts";
import type { ClaimAnswer, GrantedClaim } from "./claims/mint.ts";
import { report, reportBody } from "./claims/report.ts";
import type { Answer, IngressContext } from "./context.ts";
import type { Routes } from "./express-server.ts";
import { readBody } from "./read-body.ts";
import { send } from "./send.ts";
import { answerDelivery } from "./webhook/answer-delivery.ts";

/** GitHub sends nothing larger. */
const MAX_DELIVERY_BYTES = 25 * 1024 * 1024;
const MAX_CLAIM_BYTES = 64 * 1024;

/** All that the internet may call. */
export function createRoutes(context: IngressContext, admission: Admission = createAdmission()): Routes {
  const takeDelivery = createDeliveryTaker(context, admission);
  return { takeDelivery, app: createApp({ context, admission, takeDelivery }) };
}

/** Deliveries come here past Express (see `express-server.ts`). */
function createDeliveryTaker(context: IngressContext, admission: Admission) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      const body = await readAdmitted(admission, MAX_DELIVERY_BYTES, request, response);
      await answerDelivery(context, { request, body }, response);
    } catch (error) {
      answerFailure(context, { error: error as BodyFailure, path: "/webhook" }, request, response);
    }
  };
}

interface AppOptions {
  readonly context: IngressContext;
  readonly admission: Admission;
  readonly takeDelivery: Routes["takeDelivery"];
}

function createApp({ context, admission, takeDelivery }: AppOptions): Express {
  const app = express();
  const claims = { ...context, doubt: createDoubts(context) };
  app.disable("x-powered-by");
  app.set("etag", false);
  app.set("query parser", false);
  app.post("/webhook", takeDelivery);
  app.post("/claims", takeBody(admission, MAX_CLAIM_BYTES), (request, response) =>
    context.claimsInHand.hold(answerClaim(claims, request, response)),
  );
  app.post("/claims/report", takeBody(admission, MAX_CLAIM_BYTES), (request, response) =>
    answerReport(context, request, response),
  );
  app.get(
    "/",
    (_request, response) =>
      void response.json({ grp: "send GitHub's workflow_job deliveries to POST /webhook" }),
  );
  app.use(
    (request, response) =>
      void response.status(404).json({ error: "not_found", detail: `no ${request.method} ${request.path}` }),
  );
  app.use(answerBadRequest(context));
  return app;
}

/** The whole body, once there is room for it and a place to work on it; both until the answer is out. */
function readAdmitted(
  admission: Admission,
  limit: number,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Buffer> {
  const visit = admission.visit();
  response.on("close", visit.leave);
  return readBody(request, limit, visit);
}

function takeBody(admission: Admission, limit: number) {
  return async (request: Request, response: Response, next: NextFunction) => {
    request.body = await readAdmitted(admission, limit, request, response);
    next();
  };
}

type ClaimContext = IngressContext & { readonly doubt: ReturnType<typeof createDoubts> };

async function answerClaim(context: ClaimContext, request: Request, response: Response): Promise<void> {
  const begun = performance.now();
  const done = (answer: Answer, fields: Readonly<Record<string, unknown>>) => {
    send(response, answer);
    const outcome =
      answer.status === 200 ? "granted" : String((answer.body as { error?: string })?.error ?? answer.status);
    const durationMs = Math.round(performance.now() - begun);
    context.metrics.claims.inc({ runner_class: String(fields.runnerClass ?? ""), outcome });
    context.metrics.claimSeconds.observe({ outcome }, durationMs / 1_000);
    const isOurFault = answer.status >= 500 && outcome !== "claim_in_line";
    const level = outcome === "internal" ? "error" : isOurFault ? "warn" : "info";
    context.log[level]("runner.claimed", {
      ...fields,
      outcome,
      status: answer.status,
      durationMs,
    });
    void context.doubt(outcome).catch(() => undefined);
  };
  const auth = authenticate(context, request.headers.authorization);
  if (!auth.ok) return done(auth.answer, {});
  const body = parseJson(claimBody, request.body);
  if (!body.ok)
    return done(refuse(400, "malformed", { detail: body.detail }), { launchId: auth.ticket.launchId });
  const outcome = await claim(context, auth.ticket, body.value).catch(
    (error: unknown): ClaimAnswer => ({
      refused: refuseFor(error),
      fields: { launchId: auth.ticket.launchId, instanceId: body.value.instanceId, error },
    }),
  );
  if ("refused" in outcome) return done(outcome.refused, outcome.fields);
  done(
    { status: 200, body: isPlain(request) ? asLines(outcome.granted) : { ...outcome.granted } },
    outcome.fields,
  );
}

async function answerReport(context: IngressContext, request: Request, response: Response): Promise<void> {
  const auth = authenticate(context, request.headers.authorization);
  if (!auth.ok) return send(response, auth.answer);
  const body = parseJson(reportBody, request.body);
  if (!body.ok) return send(response, refuse(400, "malformed", { detail: body.detail }));
  const answer = await report(context, auth.ticket, body.value).catch((error: unknown): Answer => {
    context.log.error("runner.reportLost", { launchId: auth.ticket.launchId, error });
    return refuseFor(error);
  });
  send(response, answer);
  const { phase, instanceId, detail, exitCode, logTail } = body.value;
  context.metrics.reports.inc({ phase, outcome: answer.status === 204 ? "recorded" : "refused" });
  const level = phase === "failed" || phase === "interrupted" ? "warn" : "info";
  context.log[level]("runner.reported", {
    launchId: auth.ticket.launchId,
    instanceId,
    phase,
    detail,
    exitCode,
    status: answer.status,
    logTail,
  });
}

/** A machine comes back in either case: Redis may be there then, or a better version of ours. */
function refuseFor(error: unknown): Answer {
  return refuse(503, isRedisError(error) ? "redis_unavailable" : "internal", {
    retryAfterSeconds: RETRY_SECONDS,
  });
}

function isPlain(request: Request): boolean {
  return request.accepts(["json", "text"]) === "text";
}

/** One `name=value` a line, for a boot script that has no JSON parser. No value holds a line end. */
function asLines(granted: GrantedClaim): string {
  const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.entries(granted)
    .map(([name, value]) => `${snake(name)}=${String(value)}\n`)
    .join("");
}

function parseJson<T>(
  schema: z.ZodType<T>,
  body: Buffer,
): { ok: true; value: T } | { ok: false; detail: string } {
  try {
    const parsed = schema.safeParse(JSON.parse(body.toString("utf8")));
    if (parsed.success) return { ok: true, value: parsed.data };
    return {
      ok: false,
      detail: parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "),
    };
  } catch {
    return { ok: false, detail: "the body is not JSON" };
  }
}

type BodyFailure = Error & { readonly status?: number; readonly type?: string };

function answerBadRequest(context: IngressContext) {
  return (error: BodyFailure, request: Request, response: Response, _next: NextFunction): void =>
    answerFailure(context, { error, path: request.path }, request, response);
}

/** What the body reader throws: too large, cut short, no room. Anything else is a bug, and told as such to us alone. */
function answerFailure(
  context: IngressContext,
  { error, path }: { error: BodyFailure; path: string },
  request: IncomingMessage,
  response: ServerResponse,
): void {
  if (response.headersSent) return void response.destroy(error);
  const { status = 500, type: reason = "internal" } = error;
  const outcome = status === 503 ? "unavailable" : "rejected";
  const detail = status === 500 ? "internal error" : error.message;
  // The rest of the body may not have been read, so the connection can't be used again.
  response.setHeader("Connection", "close");
  send(response, {
    status,
    body: { outcome, reason, detail },
    ...(status === 503 && { retryAfterSeconds: 1 }),
  });
  const deliveryId = request.headers["x-github-delivery"];
  const fields = { path, status, outcome, reason, deliveryId };
  if (status === 500) context.log.error("request.failed", { ...fields, error });
  else context.log.warn("delivery.received", fields);
  if (path === "/webhook") context.metrics.deliveries.inc({ event: "none", outcome, reason });
}
