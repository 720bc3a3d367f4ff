import type { Ticket } from "@grp/core";
import type { RunnerRecord } from "@grp/ledger";
import { redactText } from "@grp/runtime";
import { z } from "zod";
import type { Answer, IngressContext } from "../context.ts";
import { refuse } from "./authenticate.ts";

const PHASES = ["booted", "downloaded", "online", "finished", "failed", "interrupted"] as const;
type Phase = (typeof PHASES)[number];

export const reportBody = z.object({
  instanceId: z.string().regex(/^[\w-]{1,64}$/),
  phase: z.enum(PHASES),
  detail: z.string().max(1_000).optional(),
  logTail: z.string().max(16_384).optional(),
  exitCode: z.number().int().optional(),
});

export type Report = z.infer<typeof reportBody>;

/** What may be said with the launch's own ticket, which every machine of the launch and the jobs on them can read. */
const BEFORE_CLAIM: readonly Phase[] = ["booted", "failed"];

/**
 * A machine tells how it is. Best effort on its side, so nothing may depend on a report coming; the sweep finds out what
 * was never told. After the claim only the ticket handed out there counts, and only for its own machine.
 */
export async function report(context: IngressContext, ticket: Ticket, body: Report): Promise<Answer> {
  if (ticket.instanceId !== undefined && ticket.instanceId !== body.instanceId)
    return refuse(401, "identity_mismatch");
  const runner = await context.ledger.findRunner(ticket.launchId, body.instanceId);
  const isBound = ticket.instanceId !== undefined;
  if (!isBound && (!BEFORE_CLAIM.includes(body.phase) || runner?.times.claimed !== undefined)) {
    return refuse(401, "report_ticket_required");
  }
  // Not recorded yet (its launch's answer is outstanding): the log line is all there is to keep.
  if (runner) await record(context, runner, body, isBound || ticket.size === 1);
  return { status: 204 };
}

async function record(
  context: IngressContext,
  runner: RunnerRecord,
  body: Report,
  mayEnd: boolean,
): Promise<void> {
  const at = context.now();
  const { ledger } = context;
  const { runnerName } = runner;
  const text = redactText(body.detail ?? body.phase);
  if (body.phase === "booted" || body.phase === "online") await ledger.recordStep(runnerName, body.phase, at);
  else if (body.phase === "finished") await ledger.recordStep(runnerName, "finished", at);
  else await ledger.addRunnerNote(runnerName, { at, kind: body.phase, text });
  const isOver = body.phase === "finished" || body.phase === "failed";
  if (!isOver || !mayEnd || runner.step === "gone") return;
  const { launchId, provider } = runner;
  await context.producer.enqueueTermination(
    {
      version: 1,
      runnerName,
      launchId,
      provider,
      instanceId: body.instanceId,
      reason: body.phase,
      requestedAt: at,
    },
    { delayMs: context.endGraceMs },
  );
}
