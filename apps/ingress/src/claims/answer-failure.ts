import { ProvisionError, RateLimitedError } from "@grp/core";
import { type ClaimNoteKind, findClaimNote, type LaunchRecord, type RunnerRecord, warn } from "@grp/ledger";
import { isRedisError, redactText } from "@grp/runtime";
import type { Answer, IngressContext } from "../context.ts";
import { RETRY_SECONDS, refuse } from "./authenticate.ts";

/**
 * A machine that was told to come back in a minute comes some time within that second. Told to come a little early, it
 * is there when its turn comes, and GitHub's limit is used to the full.
 */
export const COMES_EARLY_SECONDS = 2;

/** A machine that is refused asks again each five seconds, and the next one for its demand does so as soon as it has booted. */
const WARNING_MS = 900_000;

interface Failure {
  readonly error: unknown;
  readonly launch: LaunchRecord;
  readonly runner: RunnerRecord;
  readonly claimNumber: number;
}

interface FailureAnswer {
  readonly refused: Answer;
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * A registration that could not be minted: noted with its runner, and the machine comes back. What passes by itself gives
 * it its time to boot anew. What does not (our credentials, our settings) is told people, and the machine has what is
 * left of its time for somebody to mend it. What is none of GitHub's errors is thrown on.
 */
export async function answerFailure(context: IngressContext, failure: Failure): Promise<FailureAnswer> {
  const { error, runner, claimNumber } = failure;
  const { runnerName } = runner;
  const kind = sortFailure(error);
  const waitMs = error instanceof RateLimitedError ? error.retryAfterMs : RETRY_SECONDS * 1_000;
  const comesBackAt = kind === "claim-refused" ? undefined : context.now() + waitMs;
  await Promise.allSettled([
    context.ledger.abandonClaim({ runnerName, claimNumber }, comesBackAt),
    noteFailure(context, failure, kind),
    kind === "claim-refused" ? warnOfRefusal(context, failure) : undefined,
  ]);
  if (!(error instanceof ProvisionError)) throw error;
  const { errorClass, code, message: detail } = error;
  return { refused: answerFor(kind, waitMs), fields: { errorClass, code, detail } };
}

function sortFailure(error: unknown): ClaimNoteKind {
  if (isRedisError(error)) return "claim-unanswered";
  if (!(error instanceof ProvisionError)) return "claim-refused";
  if (error.code === "in_line") return "claim-in-line";
  const isPassing = error.errorClass === "transient" || error.errorClass === "rate-limited";
  return isPassing ? "claim-unanswered" : "claim-refused";
}

function answerFor(kind: ClaimNoteKind, waitMs: number): Answer {
  if (kind === "claim-in-line") {
    const retryAfterSeconds = Math.max(1, Math.floor(waitMs / 1_000) - COMES_EARLY_SECONDS);
    return refuse(503, "claim_in_line", { retryAfterSeconds });
  }
  // The boot script knows these words: while GitHub is unavailable, a machine's time to boot begins anew.
  const error = kind === "claim-refused" ? "github_refused" : "github_unavailable";
  return refuse(503, error, { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1_000)) });
}

async function noteFailure(
  { ledger, now }: IngressContext,
  { error, runner: { runnerName, notes } }: Failure,
  kind: ClaimNoteKind,
): Promise<void> {
  // Being in line is the way of a crowd, and is noted only where it takes the place of a trouble that is over.
  if (kind === "claim-in-line" && !findClaimNote(notes)) return;
  const message = error instanceof Error ? error.message : String(error);
  await ledger.addRunnerNote(runnerName, { at: now(), kind, text: redactText(message) });
}

/** At the second refusal in a row: GitHub may take back a single one. The same text for all repositories of an owner. */
async function warnOfRefusal(
  context: IngressContext,
  { error, launch: { scope, runnerClass }, runner }: Failure,
): Promise<void> {
  const isSecond = findClaimNote(runner.notes)?.kind === "claim-refused";
  if (!isSecond || !(error instanceof ProvisionError)) return;
  const { errorClass, code } = error;
  const why = code === undefined ? errorClass : `${errorClass}, ${code}`;
  const look =
    errorClass === "unauthorized"
      ? "may our credentials write self-hosted runners there?"
      : "are its scope and runner group right in the catalog?";
  const text = `GitHub refuses to register runners of class ${runnerClass} for ${scope.owner} (${why}): ${look} GitHub's words are in grp explain of a workflow job that waits`;
  const { runnerName } = runner;
  await warn(context, { kind: "registration", text, ttlMs: WARNING_MS }, { runnerName });
}
