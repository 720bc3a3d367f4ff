import { z } from "zod";
import { closeHead } from "./close-head.ts";

/** GitHub's older examples, and GHES, leave out run_attempt, created_at and more: only what we can't do without is required. */
const workflowJobDelivery = z.object({
  action: z.string(),
  workflow_job: z.object({
    id: z.number().int().positive(),
    run_id: z.number().int().nonnegative(),
    run_attempt: z.number().int().positive().catch(1),
    labels: z.array(z.string()).default([]),
    created_at: z.string().nullish(),
    started_at: z.string().nullish(),
    conclusion: z.string().nullish(),
    runner_id: z.number().int().nullish(),
    runner_name: z.string().nullish(),
  }),
  repository: z.object({
    name: z.string().min(1),
    private: z.boolean(),
    owner: z.object({ login: z.string().min(1) }),
  }),
});

/** A `workflow_job` delivery, as far as it concerns us. */
export type WorkflowJobDelivery = z.infer<typeof workflowJobDelivery>;

type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly detail: string };

/**
 * From the body, as it is or the `payload` field of a form, to what concerns us. In one go: the whole payload is some
 * fifty times larger, and none of it may be kept while Redis is waited for.
 */
export function readWorkflowJob(body: string, isForm: boolean): Parsed<WorkflowJobDelivery> {
  const text = isForm ? new URLSearchParams(body).get("payload") : body;
  if (text === null) return { ok: false, detail: "the form has no field payload" };
  const head = closeHead(text);
  const read = head === undefined ? undefined : readText(head);
  return read?.ok ? read : readText(text);
}

function readText(text: string): Parsed<WorkflowJobDelivery> {
  try {
    return check(JSON.parse(text));
  } catch {
    return { ok: false, detail: "the body is not JSON" };
  }
}

function check(payload: unknown): Parsed<WorkflowJobDelivery> {
  const parsed = workflowJobDelivery.safeParse(payload);
  if (parsed.success) return { ok: true, value: parsed.data };
  const detail = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
  return { ok: false, detail };
}

/** GitHub ends a workflow run 35 days after it began, whatever its jobs wait for. */
const LONGEST_RUN_MS = 35 * 24 * 3_600_000;

/** Epoch ms. Whatever the sender wrote: never later than `now`, and `now` where GitHub gives no time that can be. */
export function queuedTimeOf({ workflow_job: workflowJob }: WorkflowJobDelivery, now: number): number {
  const ms = Date.parse(workflowJob.created_at ?? workflowJob.started_at ?? "");
  return ms >= now - LONGEST_RUN_MS ? Math.min(ms, now) : now;
}
