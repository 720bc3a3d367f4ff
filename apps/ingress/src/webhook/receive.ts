import type { DeliveryAnswer, IngressContext } from "../context.ts";
import { readWorkflowJob } from "./delivery.ts";
import { type DeliveryOrigin, recordWorkflowJob } from "./record-workflow-job.ts";

export interface ReceivedDelivery {
  /** As Node gives them: lower-case names. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** Undefined: it was asked for in words that nobody understands. */
  readonly isDryRun: boolean | undefined;
}

const rejected = (status: number, reason: string, detail: string): DeliveryAnswer => ({
  status,
  body: { outcome: "rejected", reason, detail },
});

const WRONG_SIGNATURE = "the signature does not fit: is the webhook's secret the same as WEBHOOK_TOKEN?";

const UNKNOWN_DRY_RUN = "dry-run takes true, 1 or yes, or nothing; and false, 0 or no";

const only = (header: string | string[] | undefined) => (typeof header === "string" ? header : undefined);

/**
 * One delivery, from bytes to answer: headers, signature, and only then its content. An event that is not ours is
 * answered before its body is parsed. Rejects when Redis does not take it: the caller answers 503.
 */
export async function receiveDelivery(
  context: IngressContext,
  delivery: ReceivedDelivery,
): Promise<DeliveryAnswer> {
  const { headers, body, isDryRun } = delivery;
  const event = only(headers["x-github-event"]);
  const deliveryId = only(headers["x-github-delivery"]);
  if (!event) return rejected(400, "headers", "no X-GitHub-Event header: is this a GitHub webhook?");
  if (!deliveryId || !/^[\w-]{1,100}$/.test(deliveryId))
    return rejected(400, "headers", "no proper X-GitHub-Delivery header");
  if (isDryRun === undefined) return rejected(400, "dry-run", UNKNOWN_DRY_RUN);
  const type = contentType(headers);
  const isForm = type === "application/x-www-form-urlencoded";
  if (!isForm && type !== "application/json") {
    return rejected(
      415,
      "content-type",
      "content type must be application/json or application/x-www-form-urlencoded",
    );
  }
  if (body.length === 0) return rejected(400, "empty", "the body is empty");
  // Decoded once, for signature and content. Bytes that are no UTF-8 can't have been signed by GitHub and do not verify.
  const text = body.toString("utf8");
  const signature = only(headers["x-hub-signature-256"]);
  if (!signature)
    return rejected(401, "signature-missing", "no X-Hub-Signature-256 header: has the webhook a secret?");
  if (!(await context.isSigned(text, signature))) return rejected(401, "signature-wrong", WRONG_SIGNATURE);
  return answerEvent(context, { event, text, isForm }, { deliveryId, isDryRun });
}

interface SignedEvent {
  readonly event: string;
  readonly text: string;
  readonly isForm: boolean;
}

async function answerEvent(
  context: IngressContext,
  { event, text, isForm }: SignedEvent,
  origin: DeliveryOrigin,
): Promise<DeliveryAnswer> {
  if (event === "ping")
    return { status: 200, body: { outcome: "pong", detail: "grp is listening; send workflow_job events" } };
  if (event !== "workflow_job") return { status: 200, body: { outcome: "ignored", reason: "event", event } };
  const parsed = readWorkflowJob(text, isForm);
  if (!parsed.ok) return rejected(400, "malformed", parsed.detail);
  return recordWorkflowJob(context, parsed.value, origin);
}

function contentType(headers: ReceivedDelivery["headers"]): string | undefined {
  return only(headers["content-type"])?.split(";")[0]?.trim().toLowerCase();
}
