import { z } from "zod";

const scopeSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("repository"), owner: z.string().min(1), repository: z.string().min(1) }),
  z.object({ kind: z.literal("organization"), owner: z.string().min(1), runnerGroup: z.string().min(1) }),
]);

/**
 * One workflow job's wish for a runner: all that the worker needs and nothing more. It travels through Redis in
 * clear text, so no secret may ever be added here. `version` rises with every change that an old worker can't read.
 */
export const demandSchema = z.object({
  version: z.literal(1),
  /** `wfj-<id>` for a real demand, `dry-<delivery id>` for a planned one: never shared. */
  key: z.string().regex(/^(wfj|dry)-[\w-]+$/),
  workflowJobId: z.number().int().nonnegative(),
  runId: z.number().int().nonnegative(),
  runAttempt: z.number().int().positive(),
  owner: z.string().min(1),
  repository: z.string().min(1),
  scope: scopeSchema,
  runnerClass: z.string().min(1),
  labels: z.array(z.string()),
  /** 1 for the first machine for this demand; the sweep raises it when it asks for another. */
  generation: z.number().int().positive(),
  /** Index into the class's offerings where the worker begins. */
  offeringIndex: z.number().int().nonnegative(),
  /** Epoch ms: when GitHub says the job was queued, and when its delivery reached the ingress. */
  queuedAt: z.number().int().nonnegative(),
  receivedAt: z.number().int().nonnegative(),
  deliveryId: z.string(),
  /** How far its class's priority was below the highest when it was enqueued: 0 (or absent) goes first in its queue. */
  rank: z.number().int().min(0).max(100).exactOptional(),
  dryRun: z.boolean(),
});

export type Demand = z.infer<typeof demandSchema>;
