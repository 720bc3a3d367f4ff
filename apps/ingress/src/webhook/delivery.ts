import { z } from "zod";

/** GitHub's older examples, and GHES, leave out run_attempt, created_at and more: only what we can't do without is required. */
const time = z
  .string()
  .nullish()
  .transform((text) => (text ? Date.parse(text) : Number.NaN))
  .transform((ms) => (Number.isFinite(ms) ? ms : undefined));

const workflowJobDelivery = z.object({
  action: z.string(),
  workflow_job: z.object({
    id: z.number().int().positive(),
    run_id: z.number().int().nonnegative(),
    run_attempt: z.number().int().positive().catch(1),
    labels: z.array(z.string()).default([]),
    created_at: time,
    started_at: time,
    completed_at: time,
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

export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly detail: string };

/** From raw bytes to JSON: as they are, or the `payload` field of a form. */
export function parseBody(body: Buffer, isForm: boolean): Parsed<unknown> {
  const text = isForm ? new URLSearchParams(body.toString("utf8")).get("payload") : body.toString("utf8");
  if (text === null) return { ok: false, detail: "the form has no field payload" };
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    return { ok: false, detail: "the body is not JSON" };
  }
}

export function parseWorkflowJob(payload: unknown): Parsed<WorkflowJobDelivery> {
  const parsed = workflowJobDelivery.safeParse(payload);
  if (parsed.success) return { ok: true, value: parsed.data };
  const detail = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
  return { ok: false, detail };
}
