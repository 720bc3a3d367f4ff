import type { IncomingMessage, ServerResponse } from "node:http";
import { within } from "@grp/runtime";
import { OWN_BYTES } from "../admission.ts";
import type { DeliveryAnswer, IngressContext } from "../context.ts";
import { sendSoon } from "../send.ts";
import { endOfTurn } from "../turn.ts";
import { readDryRun } from "./dry-run.ts";
import { receiveDelivery } from "./receive.ts";

/** GitHub gives up after 10 s; with Redis away it is told to come back well before. */
const DELIVERY_DEADLINE_MS = 1_800;

/** `POST /webhook`: the answer, and one wide line and the metrics about it. */
export async function answerDelivery(
  context: IngressContext,
  { request, body }: { readonly request: IncomingMessage; readonly body: Buffer },
  response: ServerResponse,
): Promise<void> {
  const begun = performance.now();
  const { headers } = request;
  const isDryRun = readDryRun(request.url ?? "");
  // A large body goes its way alone: what a step makes of it would lie there until all have gone through the step.
  if (body.length <= OWN_BYTES) await endOfTurn();
  const answer = await within(
    DELIVERY_DEADLINE_MS,
    receiveDelivery(context, { headers, body, isDryRun }),
  ).catch(unavailable);
  sendSoon(response, answer);
  const { outcome, reason } = answer.body;
  const durationMs = Math.round((performance.now() - begun) * 10) / 10;
  const event = eventName(headers["x-github-event"]);
  // Before its signature is good, its event is whatever a stranger likes: that must not become a label.
  const told = outcome === "rejected" ? "none" : event;
  context.metrics.deliveries.inc({ event: told, outcome, reason: String(reason ?? "") });
  context.metrics.deliverySeconds.observe({ outcome }, durationMs / 1_000);
  const level = answer.status === 503 ? "error" : answer.status >= 400 ? "warn" : "info";
  context.log[level]("delivery.received", {
    deliveryId: headers["x-github-delivery"],
    hookId: headers["x-github-hook-id"],
    event,
    outcome,
    reason,
    status: answer.status,
    dryRun: isDryRun,
    bytes: body.length,
    durationMs,
    ...answer.fields,
  });
}

/** Redis did not take it in time. The cause is for our log, not for the sender. */
function unavailable(error: unknown): DeliveryAnswer & { retryAfterSeconds: number } {
  return {
    status: 503,
    body: { outcome: "unavailable", reason: "redis", detail: "not taken; send it again" },
    retryAfterSeconds: 5,
    fields: { error },
  };
}

/** Names go into a metric's label: only the shape that GitHub's have. */
function eventName(header: string | string[] | undefined): string {
  return typeof header === "string" && /^[a-z_]{1,40}$/.test(header) ? header : "none";
}
