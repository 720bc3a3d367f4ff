import express, { type Express, type NextFunction, type Request, type Response } from "express";
import type { z } from "zod";
import { type Admission, createAdmission } from "./admission.ts";
import { authenticate, refuse } from "./claims/authenticate.ts";
import { type ClaimAnswer, claim, claimBody, type GrantedClaim } from "./claims/claim.ts";
import { report, reportBody } from "./claims/report.ts";
import type { Answer, IngressContext } from "./context.ts";
import { readBody } from "./read-body.ts";
import { send } from "./send.ts";
import { answerDelivery, MAX_DELIVERY_BYTES } from "./webhook/answer-delivery.ts";

const MAX_CLAIM_BYTES = 64 * 1024;

/** All that the internet may call. */
export function createRoutes(context: IngressContext, admission: Admission = createAdmission()): Express {
  const app = express();
  app.disable("x-powered-by");
  app.set("etag", false);
  app.set("query parser", false);
  // Express tries them in this order, and this is what is asked most.
  app.post("/webhook", admitTo(admission), (request, response) => answerDelivery(context, request, response));
  app.post("/claims", admitTo(admission), (request, response) => answerClaim(context, request, response));
  app.post("/claims/report", admitTo(admission), (request, response) =>
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

function admitTo(admission: Admission) {
  return (request: Request, response: Response, next: NextFunction) => {
    const length = Number(request.headers["content-length"] ?? MAX_DELIVERY_BYTES);
    const leave = admission.admit(Math.min(length, MAX_DELIVERY_BYTES));
    if (!leave)
      return send(response, {
        status: 503,
        body: { outcome: "unavailable", reason: "busy" },
        retryAfterSeconds: 1,
      });
    response.once("close", leave);
    next();
  };
}

async function answerClaim(context: IngressContext, request: Request, response: Response): Promise<void> {
  const bytes = await readBody(request, MAX_CLAIM_BYTES);
  const begun = performance.now();
  const done = (answer: Answer, fields: Readonly<Record<string, unknown>>) => {
    send(response, answer);
    const outcome =
      answer.status === 200 ? "granted" : String((answer.body as { error?: string })?.error ?? answer.status);
    const durationMs = Math.round(performance.now() - begun);
    context.metrics.claims.inc({ runner_class: String(fields.runnerClass ?? ""), outcome });
    context.metrics.claimSeconds.observe({ outcome }, durationMs / 1_000);
    const isOurFault = answer.status >= 500;
    context.log[isOurFault ? "warn" : "info"]("runner.claimed", {
      ...fields,
      outcome,
      status: answer.status,
      durationMs,
    });
  };
  const auth = authenticate(context, request.headers.authorization);
  if (!auth.ok) return done(auth.answer, {});
  const body = parseJson(claimBody, bytes);
  if (!body.ok)
    return done(refuse(400, "malformed", { detail: body.detail }), { launchId: auth.ticket.launchId });
  const outcome = await claim(context, auth.ticket, body.value).catch(
    (error: unknown): ClaimAnswer => ({
      refused: refuse(503, "redis_unavailable", { retryAfterSeconds: 5 }),
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
  const bytes = await readBody(request, MAX_CLAIM_BYTES);
  const auth = authenticate(context, request.headers.authorization);
  if (!auth.ok) return send(response, auth.answer);
  const body = parseJson(reportBody, bytes);
  if (!body.ok) return send(response, refuse(400, "malformed", { detail: body.detail }));
  const answer = await report(context, auth.ticket, body.value).catch((error: unknown): Answer => {
    context.log.error("runner.reportLost", { launchId: auth.ticket.launchId, error });
    return refuse(503, "redis_unavailable", { retryAfterSeconds: 5 });
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

/** What the body reader throws: too large, cut short, compressed. Anything else is a bug, and told as such to us alone. */
function answerBadRequest(context: IngressContext) {
  return (
    error: Error & { status?: number; type?: string },
    request: Request,
    response: Response,
    next: NextFunction,
  ): void => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const status = error.status ?? 500;
    // The rest of the body may not have been read, so the connection can't be used again.
    response.set("Connection", "close");
    send(response, {
      status,
      body: {
        outcome: "rejected",
        reason: error.type ?? "internal",
        detail: status < 500 ? error.message : "internal error",
      },
    });
    const fields = {
      path: request.path,
      status,
      outcome: "rejected",
      reason: error.type,
      deliveryId: request.headers["x-github-delivery"],
    };
    if (status < 500) context.log.warn("delivery.received", fields);
    else context.log.error("request.failed", { ...fields, error });
    if (request.path === "/webhook")
      context.metrics.deliveries.inc({
        event: "none",
        outcome: "rejected",
        reason: error.type ?? "internal",
      });
  };
}
