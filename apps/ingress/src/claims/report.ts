import type { Ticket } from "@grp/core";
import { type RunnerRecord, warn } from "@grp/ledger";
import { redactText } from "@grp/runtime";
import { z } from "zod";
import type { Answer, IngressContext } from "../context.ts";
import { endMachine } from "../end-machine.ts";
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

/** The runner program's own code for "GitHub refuses this version"; no other part of a machine ends with it. */
const VERSION_REFUSED = 7;

/** Shown for longer than a day, so that what only a nightly run shows stays in sight. */
const WARNING_MS = 26 * 3_600_000;

/** The machine waits ten seconds for the answer to a report. */
const TAKE_OFF_MS = 7_000;

/** What may be said with the launch's own ticket, which every machine of the launch and the jobs on them can read. */
const BEFORE_CLAIM: readonly Phase[] = ["booted", "failed", "interrupted"];

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
  else if (body.phase === "finished") await ledger.recordJobEnd(runnerName, at);
  else await ledger.addRunnerNote(runnerName, { at, kind: noteKind(body.phase, mayEnd), text });
  if (body.phase === "interrupted" && mayEnd) await takeOff(context, runner);
  if (body.exitCode === VERSION_REFUSED) await warnOfVersion(context, runner);
  const isOver = body.phase === "finished" || body.phase === "failed";
  if (isOver && mayEnd)
    await endMachine(context, runner, { reason: body.phase, instanceId: body.instanceId });
}

/** The sweep replaces a machine whose runner is noted as interrupted: not on the word of just any machine of its launch. */
function noteKind(phase: Phase, mayEnd: boolean): string {
  return phase === "interrupted" && !mayEnd ? "notice" : phase;
}

/**
 * No workflow job is to begin on a machine that is taken away in two minutes. GitHub keeps a runner that is busy. Should
 * it not answer, the sweep takes the runner off with its machine.
 */
async function takeOff(
  { github, log }: IngressContext,
  { scope, runnerId, runnerName }: RunnerRecord,
): Promise<void> {
  if (runnerId === undefined) return;
  const signal = AbortSignal.timeout(TAKE_OFF_MS);
  const outcome = await github.deregister(scope, runnerId, signal).catch(() => "unanswered" as const);
  log.info("runner.interrupted", { runnerName, runnerId, outcome });
}

/** The surest sign that somebody has pinned a version: the sweep's rule may not have seen this runner at all. */
function warnOfVersion(context: IngressContext, runner: RunnerRecord): Promise<void> {
  const text = `GitHub refused the runner program of a runner of class ${runner.runnerClass} as too old: is a version pinned in its image or its codemagic.yaml?`;
  const { runnerName } = runner;
  return warn(context, { kind: "runner-version", text, ttlMs: WARNING_MS }, { runnerName });
}
