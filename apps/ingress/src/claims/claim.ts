import {
  type ProvisionError,
  parseDemandJobId,
  RateLimitedError,
  type RunnerClass,
  scopeKey,
  type Ticket,
} from "@grp/core";
import type { RunnerProgram } from "@grp/github";
import type { ClaimVerdict, RunnerRecord } from "@grp/ledger";
import { z } from "zod";
import type { Answer, IngressContext } from "../context.ts";
import { refuse } from "./authenticate.ts";
import { endRefused } from "./end-refused.ts";

/** One mint: two GitHub calls of 10 s each at most, with a third after a 409. */
const MINT_TIMEOUT_MS = 25_000;
const LOCK_MS = MINT_TIMEOUT_MS + 5_000;

/** GitHub's answer to "when" if it names none. */
const RETRY_SECONDS = 5;

export const claimBody = z.object({
  instanceId: z.string().regex(/^[\w-]{1,64}$/),
  os: z.enum(["linux", "macos"]),
  arch: z.enum(["arm64", "x64"]),
  identityDocument: z.string().max(8_192).optional(),
  identitySignature: z.string().max(8_192).optional(),
});

export type Claim = z.infer<typeof claimBody>;

/** What a granted claim hands over: the registration is a secret, shown to nobody but this machine. */
export interface GrantedClaim {
  readonly runnerName: string;
  readonly jitConfig: string;
  readonly reportTicket: string;
  readonly runnerUrl: string;
  readonly runnerSha256: string;
  readonly runnerVersion: string;
  readonly runnerFilename: string;
}

export type ClaimAnswer =
  | { readonly granted: GrantedClaim; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly refused: Answer; readonly fields: Readonly<Record<string, unknown>> };

/** A machine trades its ticket for a registration, minted now, if a runner is still wanted. */
export async function claim(context: IngressContext, ticket: Ticket, body: Claim): Promise<ClaimAnswer> {
  const fields = { launchId: ticket.launchId, instanceId: body.instanceId, runnerClass: ticket.runnerClass };
  const no = (refused: Answer) => ({ refused, fields });
  const launch = await context.ledger.getLaunch(ticket.launchId, body);
  if (!launch) return no(refuse(503, "launch_not_recorded", { retryAfterSeconds: RETRY_SECONDS }));
  const identity = await context.checkIdentity(body, launch);
  if (!identity.ok && identity.error === "launch_not_recorded") {
    return no(refuse(503, identity.error, { retryAfterSeconds: RETRY_SECONDS }));
  }
  if (!identity.ok)
    return { refused: refuse(401, identity.error), fields: { ...fields, detail: identity.detail } };
  const runnerClass = context.catalog.classes.find((one) => one.name === ticket.runnerClass);
  if (!runnerClass || scopeKey(launch.scope) !== ticket.scope) {
    await endRefused(context, ticket.launchId, body.instanceId);
    return no(refuse(410, "not_wanted", { detail: "its runner class is no longer in the catalog" }));
  }
  const { launchId } = ticket;
  const verdict = await context.ledger.beginClaim({
    launchId,
    instanceId: body.instanceId,
    at: context.now(),
    lockMs: LOCK_MS,
  });
  if (verdict.outcome !== "granted") {
    if (verdict.outcome === "not-wanted") await endRefused(context, launchId, body.instanceId);
    return no(answerRefusal(verdict.outcome));
  }
  return mint(context, { ticket, body, runnerClass, verdict });
}

function answerRefusal(outcome: Exclude<ClaimVerdict["outcome"], "granted">): Answer {
  if (outcome === "not-wanted") return refuse(410, "not_wanted");
  if (outcome === "taken") return refuse(409, "already_claimed");
  const error = outcome === "in-progress" ? "claim_in_progress" : "launch_not_recorded";
  return refuse(503, error, { retryAfterSeconds: RETRY_SECONDS });
}

interface Mint {
  readonly ticket: Ticket;
  readonly body: Claim;
  readonly runnerClass: RunnerClass;
  readonly verdict: ClaimVerdict & { readonly outcome: "granted" };
}

async function mint(context: IngressContext, order: Mint): Promise<ClaimAnswer> {
  const { launch, runner } = order.verdict;
  const { runnerName } = runner;
  const fields = {
    launchId: launch.launchId,
    instanceId: order.body.instanceId,
    runnerClass: launch.runnerClass,
    runnerName,
  };
  try {
    const minted = await register(context, order);
    if (!minted) {
      await context.ledger.abandonClaim(runnerName);
      return { refused: refuse(409, "already_claimed", { detail: "its runner runs a job" }), fields };
    }
    await context.ledger.finishClaim({ runnerName, runnerId: minted.runnerId, at: context.now() });
    const sinceQueuedMs = await sinceQueued(context, runner);
    if (sinceQueuedMs !== undefined) {
      context.metrics.queuedToClaimedSeconds.observe(
        { runner_class: launch.runnerClass },
        sinceQueuedMs / 1_000,
      );
    }
    return {
      granted: grant(context, order, minted),
      fields: { ...fields, runnerId: minted.runnerId, sinceQueuedMs },
    };
  } catch (error) {
    await context.ledger.abandonClaim(runnerName).catch(() => undefined);
    if (!isProvisionError(error)) throw error;
    return {
      refused: answerGitHubError(error),
      fields: { ...fields, errorClass: error.errorClass, code: error.code, detail: error.message },
    };
  }
}

interface Minted {
  readonly runnerId: number;
  readonly encodedJitConfig: string;
  readonly program: RunnerProgram;
}

/** Undefined when the machine's earlier runner is busy: it did get its registration, and a job is running there. */
async function register(
  context: IngressContext,
  { body, runnerClass, verdict }: Mint,
): Promise<Minted | undefined> {
  const signal = AbortSignal.timeout(MINT_TIMEOUT_MS);
  const { scope } = verdict.launch;
  const program = await context.github.runnerProgram(scope, { os: body.os, arch: body.arch }, signal);
  if (verdict.previousRunnerId !== undefined) {
    const before = await context.github.deregister(scope, verdict.previousRunnerId, signal);
    if (before === "busy") return undefined;
  }
  const order = { scope, name: verdict.runner.runnerName, labels: runnerClass.labels };
  const registration = await context.github.mintRegistration(order, signal);
  return { ...registration, program };
}

function grant(
  context: IngressContext,
  { ticket, body, runnerClass, verdict }: Mint,
  minted: Minted,
): GrantedClaim {
  const expiresAt = context.now() + runnerClass.idleTimeout + runnerClass.maxRuntime + 3_600_000;
  return {
    runnerName: verdict.runner.runnerName,
    jitConfig: minted.encodedJitConfig,
    reportTicket: context.signer.sign({ ...ticket, instanceId: body.instanceId, expiresAt }),
    runnerUrl: minted.program.url,
    runnerSha256: minted.program.sha256,
    runnerVersion: minted.program.version,
    runnerFilename: minted.program.filename,
  };
}

/** Of the workflow job that the machine was launched for; another of its pool may get the runner. */
async function sinceQueued(context: IngressContext, runner: RunnerRecord): Promise<number | undefined> {
  const record = await context.ledger.getWorkflowJob(parseDemandJobId(runner.placeHolder).key);
  return record ? context.now() - record.demand.queuedAt : undefined;
}

function isProvisionError(error: unknown): error is ProvisionError {
  return error instanceof Error && "errorClass" in error;
}

/** Our own credentials or settings being wrong is no fault of the machine's: it waits while somebody mends them. */
function answerGitHubError(error: ProvisionError): Answer {
  const waitMs = error instanceof RateLimitedError ? error.retryAfterMs : RETRY_SECONDS * 1_000;
  return refuse(503, "github_unavailable", { retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1_000)) });
}
