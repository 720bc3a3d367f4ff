import { setTimeout as sleep } from "node:timers/promises";
import {
  type Demand,
  isLaunchable,
  type Plan,
  type PlannedOffering,
  ProvisionError,
  RateLimitedError,
  type RunnerClass,
  scopeKey,
  summariseOffering,
} from "@grp/core";
import { dryRun } from "@grp/providers";
import type { WorkContext, WorkOutcome } from "@grp/queue";
import { providerOf, type WorkerContext } from "./context.ts";

/**
 * The whole way, and nothing started: each offering is validated by its provider, GitHub is asked whether a
 * registration would be allowed, and the plan says what would happen. No place is taken and no supply counted.
 */
export async function planDemand(
  context: WorkerContext,
  demand: Demand,
  work: WorkContext,
): Promise<WorkOutcome> {
  const plan = await makePlan(context, demand, work.signal);
  await context.ledger.recordPlan(demand.key, plan);
  const { key, runnerClass } = demand;
  context.log.info("runner.planned", { key, runnerClass, isLaunchable: isLaunchable(plan), plan });
  return { kind: "done", result: plan };
}

async function makePlan(context: WorkerContext, demand: Demand, signal: AbortSignal): Promise<Plan> {
  const base = {
    key: demand.key,
    repository: `${demand.owner}/${demand.repository}`,
    labels: demand.labels,
    registersAt: scopeKey(demand.scope),
  };
  const runnerClass = context.catalog.classes.find((one) => one.name === demand.runnerClass);
  if (!runnerClass)
    return {
      ...base,
      runnerClass: null,
      ignored: `no runner class "${demand.runnerClass}" in the catalog`,
      github: { verdict: "not-checked" },
      offerings: [],
    };
  const github = await check(() => context.github.checkRegistration(demand.scope, signal), signal);
  const offerings = await planOfferings(context, runnerClass, signal);
  return {
    ...base,
    runnerClass: runnerClass.name,
    github: { ...github, verdict: github.verdict === "passed" ? "allowed" : github.verdict },
    offerings,
  };
}

/** One after the other: EC2 allows two RunInstances a second, dry or not. */
async function planOfferings(
  context: WorkerContext,
  runnerClass: RunnerClass,
  signal: AbortSignal,
): Promise<readonly PlannedOffering[]> {
  const planned: PlannedOffering[] = [];
  for (const offering of runnerClass.offerings) {
    const verdict = await check(async () => {
      await dryRun(providerOf(context, offering.provider)).validate(offering, signal);
      return [];
    }, signal);
    planned.push({
      ...verdict,
      provider: offering.provider,
      summary: summariseOffering(offering),
      verdict: verdict.verdict === "passed" ? "would-launch" : verdict.verdict,
    });
  }
  return planned;
}

type Check = { readonly verdict: "passed" | "refused" | "not-checked"; readonly why?: string };

/** More RunInstances than EC2's bucket holds (five, filled by two a second) are asked for by a class of two offerings. */
const [PAUSES, LONGEST_PAUSE_MS] = [2, 5_000];

/** A refusal is the plan's news; what merely couldn't be asked says so; only a stop of the worker is thrown on. */
async function check(ask: () => Promise<readonly string[]>, signal: AbortSignal): Promise<Check> {
  for (let pauses = 0; ; pauses++) {
    try {
      return pass(await ask());
    } catch (error) {
      if (signal.aborted || !(error instanceof Error)) throw error;
      const pauseMs = pauseOf(error);
      if (pauseMs === undefined || pauses === PAUSES) return describe(error);
      await sleep(pauseMs, undefined, { signal });
    }
  }
}

function pass(reservations: readonly string[]): Check {
  const why = reservations.join("; ");
  return why ? { verdict: "passed", why } : { verdict: "passed" };
}

function pauseOf(error: Error): number | undefined {
  const isShort = error instanceof RateLimitedError && error.retryAfterMs <= LONGEST_PAUSE_MS;
  return isShort ? error.retryAfterMs : undefined;
}

function describe(error: Error): Check {
  const isPassing =
    error instanceof ProvisionError &&
    (error.errorClass === "transient" || error.errorClass === "rate-limited");
  return { verdict: isPassing ? "not-checked" : "refused", why: error.message };
}
