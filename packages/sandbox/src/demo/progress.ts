import { z } from "zod";

/** The way of one runner, in order; what the demo must see of each. */
export const STEPS = [
  "received",
  "enqueued",
  "launched",
  "booted",
  "claimed",
  "online",
  "busy",
  "finished",
  "gone",
] as const;
export type Step = (typeof STEPS)[number];

/** What is used of ops' answer to `GET /api/workflow-jobs/<id>`. */
const answerSchema = z.object({
  timeline: z.array(z.object({ step: z.string(), at: z.number(), elapsedMs: z.number() })),
  runner: z
    .object({ runnerName: z.string(), provider: z.string(), instanceId: z.string().optional() })
    .optional(),
  failure: z.object({ message: z.string() }).optional(),
  explanation: z.object({ whereNow: z.string() }),
});

/** One workflow job and its runner, as far as they have come. */
export interface Progress {
  /** Ms since the delivery was received, of every step that happened. */
  readonly elapsedMs: ReadonlyMap<Step, number>;
  readonly runner?: {
    readonly runnerName: string;
    readonly provider: string;
    readonly instanceId?: string | undefined;
  };
  /** Why it can't go on, if so. */
  readonly failure?: string;
  /** Where it is, as a sentence. */
  readonly now?: string;
}

export async function readProgress(options: {
  opsUrl: string;
  authorization: string;
  workflowJobId: number;
}): Promise<Progress> {
  const response = await fetch(`${options.opsUrl}/api/workflow-jobs/${options.workflowJobId}`, {
    headers: { authorization: options.authorization, accept: "application/json" },
    signal: AbortSignal.timeout(5_000),
  });
  if (response.ok) return toProgress(await response.json());
  await response.body?.cancel();
  // Unknown until the delivery has been received; anything else is a fault worth seeing.
  if (response.status === 404) return { elapsedMs: new Map() };
  throw new Error(`ops answered ${response.status}`);
}

export function toProgress(answer: unknown): Progress {
  const { timeline, runner, failure, explanation } = answerSchema.parse(answer);
  const known = timeline.flatMap(({ step, elapsedMs }): [Step, number][] =>
    isStep(step) ? [[step, elapsedMs]] : [],
  );
  return {
    elapsedMs: new Map(known),
    ...(runner && { runner }),
    ...(failure && { failure: failure.message }),
    now: explanation.whereNow,
  };
}

function isStep(text: string): text is Step {
  return (STEPS as readonly string[]).includes(text);
}
