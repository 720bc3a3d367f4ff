import {
  type Demand,
  orderOf,
  parseDemandJobId,
  type RunnerClass,
  rankOf,
  type Scope,
  type Ticket,
  type Turn,
} from "@grp/core";
import type { Registration, RunnerProgram } from "@grp/github";
import type { ClaimVerdict, WorkflowJobRecord } from "@grp/ledger";
import type { Answer, IngressContext } from "../context.ts";
import { endMachine } from "../end-machine.ts";
import { answerFailure, COMES_EARLY_SECONDS } from "./answer-failure.ts";
import { RETRY_SECONDS, refuse } from "./authenticate.ts";
import { mayReplace } from "./replaced.ts";

/** One mint: two GitHub calls of 10 s each at most, with more where something went before; some of it may be waiting for its turn. */
const MINT_TIMEOUT_MS = 25_000;
export const LOCK_MS = MINT_TIMEOUT_MS + 5_000;

/** A machine that comes early is held here until its turn comes. */
export const HOLD_MS = (COMES_EARLY_SECONDS + 2) * 1_000;

/** A machine that is later than that loses its turn. */
const PATIENCE_MS = 30_000;

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

export interface Mint {
  readonly ticket: Ticket;
  readonly instanceId: string;
  readonly platform: { readonly os: "linux" | "macos"; readonly arch: "arm64" | "x64" };
  readonly runnerClass: RunnerClass;
  readonly verdict: ClaimVerdict & { readonly outcome: "granted" };
}

/** Registers the machine's runner in its turn, and hands the registration over. */
export function mint(context: IngressContext, order: Mint): Promise<ClaimAnswer> {
  return context.claimsInHand.limit(MINT_TIMEOUT_MS, (signal) => mintWithin(context, order, signal));
}

async function mintWithin(context: IngressContext, order: Mint, signal: AbortSignal): Promise<ClaimAnswer> {
  const { launch, runner, claimNumber } = order.verdict;
  const { runnerName } = runner;
  const { launchId, runnerClass } = launch;
  const claim = { runnerName, claimNumber };
  const fields = { launchId, instanceId: order.instanceId, runnerClass, runnerName };
  try {
    const record = await readRecord(context, order);
    const demand = record?.demand;
    const turn = turnOf(context, order, demand);
    if (record && !(await mayReplace(context, runner, record, { turn, signal }))) {
      await context.ledger.abandonClaim(claim);
      return { refused: refuse(503, "counted_anew", { retryAfterSeconds: 1 }), fields };
    }
    const minted = await register(context, order, { turn, signal });
    if (minted === "busy") {
      await context.ledger.abandonClaim(claim);
      return { refused: refuse(409, "already_claimed", { detail: "its runner runs a job" }), fields };
    }
    if (minted === "gone") return { refused: await endUsed(context, order), fields };
    const { runnerId } = minted;
    const outcome = await context.ledger.finishClaim({ ...claim, runnerId, at: context.now() });
    context.registrations.forget(runnerName);
    if (outcome !== "registered") {
      await takeOff(context, launch.scope, runnerId);
      return { refused: refuseFor(outcome), fields: { ...fields, runnerId } };
    }
    const sinceQueuedMs = demand && context.now() - demand.queuedAt;
    observe(context, runnerClass, sinceQueuedMs);
    return { granted: grant(context, order, minted), fields: { ...fields, runnerId, sinceQueuedMs } };
  } catch (error) {
    const failed = await answerFailure(context, { error, launch, runner, claimNumber });
    return { refused: failed.refused, fields: { ...fields, ...failed.fields } };
  }
}

function refuseFor(outcome: "ended" | "overtaken"): Answer {
  if (outcome === "ended") return refuse(410, "not_wanted");
  return refuse(503, "claim_in_progress", { retryAfterSeconds: RETRY_SECONDS });
}

/** No machine has it, and none will. Should GitHub not let go of it now, the sweep finds it there. */
async function takeOff({ github }: IngressContext, scope: Scope, runnerId: number): Promise<void> {
  const signal = AbortSignal.timeout(MINT_TIMEOUT_MS);
  await github.deregister(scope, runnerId, signal).catch(() => undefined);
}

/**
 * GitHub lets go of a registration by itself only after its one workflow job. Nobody counts on this machine any more;
 * should a workflow job wait all the same, the sweep asks GitHub and has another started.
 */
async function endUsed(context: IngressContext, { verdict, instanceId }: Mint): Promise<Answer> {
  const { runner, claimNumber } = verdict;
  const { runnerName } = runner;
  const text = "it claimed again after GitHub had let go of its runner";
  if (!(await context.ledger.abandonClaim({ runnerName, claimNumber }))) return refuseFor("overtaken");
  const at = context.now();
  await context.ledger.recordStep(runnerName, "finished", at, { at, kind: "used", text });
  await endMachine(context, runner, { reason: "finished", instanceId });
  return refuse(409, "already_claimed", { detail: "its runner has had its job" });
}

/** Of the workflow job that the machine was launched for; another of its pool may get the runner. */
function readRecord({ ledger }: IngressContext, { verdict }: Mint): Promise<WorkflowJobRecord | null> {
  return ledger.getWorkflowJob(parseDemandJobId(verdict.runner.placeHolder).key);
}

function observe(context: IngressContext, runnerClass: string, sinceQueuedMs: number | undefined): void {
  if (sinceQueuedMs === undefined) return;
  context.metrics.queuedToClaimedSeconds.observe({ runner_class: runnerClass }, sinceQueuedMs / 1_000);
}

/** The workflow job that was queued first is served first; before it, those whose class goes before others. */
function turnOf(context: IngressContext, { runnerClass, verdict }: Mint, demand: Demand | undefined): Turn {
  const order = orderOf(rankOf(runnerClass), demand?.queuedAt ?? context.now());
  return { member: verdict.runner.runnerName, order, patienceMs: PATIENCE_MS };
}

interface Minted {
  readonly runnerId: number;
  readonly encodedJitConfig: string;
  readonly program: RunnerProgram;
}

/** `busy`, `gone`: the machine did get its earlier registration, and a job is running there, or has run. */
async function register(
  context: IngressContext,
  { platform, runnerClass, verdict }: Mint,
  { turn, signal }: { readonly turn: Turn; readonly signal: AbortSignal },
): Promise<Minted | "busy" | "gone"> {
  const { scope } = verdict.launch;
  const name = verdict.runner.runnerName;
  const program = await context.github.runnerProgram(scope, platform, signal);
  const late = await context.registrations.find(name, signal);
  if (late && (await isThere(context, { scope, name, runnerId: late.runnerId }, signal)))
    return { ...late, program };
  const { previousRunnerId } = verdict;
  if (previousRunnerId !== undefined) {
    const before = await context.github.deregister(scope, previousRunnerId, signal);
    if (before !== "deregistered") return before;
    await context.ledger.forgetRegistration({ runnerName: name, runnerId: previousRunnerId });
  }
  const order = { scope, name, labels: runnerClass.labels, turn };
  const ordered = {
    runnerName: name,
    mint: (untilOver: AbortSignal) => context.github.mintRegistration(order, untilOver),
    isWanted: () => mayClaimAgain(context, name),
    takeOff: ({ runnerId }: Registration) => takeOff(context, scope, runnerId),
  };
  return { ...(await context.registrations.begin(ordered, signal)), program };
}

async function mayClaimAgain({ ledger }: IngressContext, runnerName: string): Promise<boolean> {
  const runner = await ledger.getRunner(runnerName);
  return runner !== null && runner.step !== "finished" && runner.step !== "gone";
}

/** Another ingress may have taken it off GitHub and minted anew. */
async function isThere(
  { github }: IngressContext,
  { scope, name, runnerId }: { readonly scope: Scope; readonly name: string; readonly runnerId: number },
  signal: AbortSignal,
): Promise<boolean> {
  return (await github.findRunner(scope, name, signal))?.runnerId === runnerId;
}

function grant(
  context: IngressContext,
  { ticket, instanceId, runnerClass, verdict }: Mint,
  minted: Minted,
): GrantedClaim {
  const expiresAt = context.now() + runnerClass.idleTimeout + runnerClass.maxRuntime + 3_600_000;
  return {
    runnerName: verdict.runner.runnerName,
    jitConfig: minted.encodedJitConfig,
    reportTicket: context.signer.sign({ ...ticket, instanceId, expiresAt }),
    runnerUrl: minted.program.url,
    runnerSha256: minted.program.sha256,
    runnerVersion: minted.program.version,
    runnerFilename: minted.program.filename,
  };
}
