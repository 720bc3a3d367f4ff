import { RateLimitedError } from "@grp/core";
import type { HookTarget } from "@grp/github";
import type { WorkerContext } from "../context.ts";
import {
  chooseDue,
  countTaken,
  type Failure,
  KEPT_MS,
  markAsked,
  NOTHING_YET,
  nameOf,
  type RecoveryState,
  readFailures,
  readFrom,
} from "./failures.ts";
import { type FindHooks, keyOf } from "./find-hooks.ts";

const MARK = "deliveries";
/** Longer than GitHub keeps deliveries. */
const MARK_TTL_MS = KEPT_MS + 24 * 3_600_000;

/** Of GitHub's 900 points a minute a redelivery costs five: this leaves the other half to registrations. */
const MOST_REDELIVERIES = 90;
/** While the ingress takes none, a few are enough to see when it is back. */
const CANARIES = 3;
/** With more hooks than that, each is read every second round, or third: 1,200 calls an hour at the most. */
const MOST_HOOKS = 20;

/**
 * One round: reads what GitHub could not deliver since the last one (up to its three days) and has it sent again. Each
 * failed attempt is answered once, at growing pauses, until the ingress takes it or GitHub forgets it. A crash in
 * mid-round may have one sent twice, which the ingress knows; none is ever dropped.
 *
 * Cost in REST calls: one an hour and owner, repository or App to find the hooks; one a round and hook to read (60 an
 * hour with one App, at most 1,200 with many hooks), a page more for each hundred failures; one for each redelivery.
 */
export async function redeliverFailed(
  context: WorkerContext,
  findHooks: FindHooks,
  signal: AbortSignal,
): Promise<void> {
  const round = createRound();
  try {
    const hooks = await findHooks(signal);
    let state = await loadState(context);
    for (const hook of chooseHooks(hooks, state))
      state = await readHook({ context, round, hook, signal }, state);
    if (hooks.length > 0) state = await askForDue({ context, round, hooks, signal }, state);
    await context.ledger.setMark(MARK, JSON.stringify(state), MARK_TTL_MS);
    round.open = state.open.length;
  } catch (error) {
    // GitHub wants a pause: the next round finds the rest. Whatever was not saved is read again.
    if (!(error instanceof RateLimitedError)) throw error;
    round.pauseMs = error.retryAfterMs;
  }
  tell(context, round);
}

type Round = ReturnType<typeof createRound>;

function createRound() {
  return {
    hooks: 0,
    failed: 0,
    failedAgain: 0,
    recovered: 0,
    expired: 0,
    redelivered: 0,
    open: 0,
    errors: 0,
    lastError: undefined as string | undefined,
    oldestAgeMs: undefined as number | undefined,
    pauseMs: undefined as number | undefined,
  };
}

async function loadState({ ledger }: WorkerContext): Promise<RecoveryState> {
  const text = await ledger.getMark(MARK);
  return text === null ? NOTHING_YET : (JSON.parse(text) as RecoveryState);
}

function chooseHooks(hooks: readonly HookTarget[], { readUntil }: RecoveryState): readonly HookTarget[] {
  const readAt = (hook: HookTarget) => readUntil[keyOf(hook)] ?? 0;
  return hooks.toSorted((one, other) => readAt(one) - readAt(other)).slice(0, MOST_HOOKS);
}

interface Part {
  readonly context: WorkerContext;
  readonly round: Round;
  readonly signal: AbortSignal;
}

async function readHook(
  { context, round, hook, signal }: Part & { readonly hook: HookTarget },
  state: RecoveryState,
): Promise<RecoveryState> {
  const now = context.now();
  const key = keyOf(hook);
  try {
    const failed = await context.github.listFailedDeliveries(hook, readFrom(state, key, now), signal);
    const reading = readFailures(state, key, failed, now);
    round.hooks += 1;
    round.failed += reading.fresh;
    round.failedAgain += reading.again;
    round.recovered += reading.recovered;
    round.expired += reading.expired;
    return reading.state;
  } catch (error) {
    return pass(error, round, state);
  }
}

async function askForDue(
  { context, round, hooks, signal }: Part & { readonly hooks: readonly HookTarget[] },
  state: RecoveryState,
): Promise<RecoveryState> {
  const targets = new Map(hooks.map((hook) => [keyOf(hook), hook]));
  const isDown = state.lastAsked > 0 && round.failedAgain * 2 >= state.lastAsked;
  // Another worker may have found a hook that this one has not heard of yet: its failures wait for that one's round.
  const due = chooseDue(state, context.now())
    .filter(({ hook }) => targets.has(hook))
    .slice(0, isDown ? CANARIES : MOST_REDELIVERIES);
  const answers = new Map<string, "taken" | "refused">();
  for (const failure of due) {
    const target = targets.get(failure.hook) as HookTarget;
    const answer = await ask({ context, round, target, signal }, failure);
    if (answer === "stop") break;
    answers.set(nameOf(failure), answer);
  }
  round.redelivered = countTaken(answers);
  const [oldest] = due;
  if (oldest) round.oldestAgeMs = context.now() - oldest.firstFailedAt;
  return markAsked(state, answers, context.now());
}

/** One that GitHub refuses comes again after a pause, like one that failed, and holds up nobody. */
async function ask(
  { context, round, target, signal }: Part & { readonly target: HookTarget },
  failure: Failure,
): Promise<"taken" | "refused" | "stop"> {
  if (signal.aborted) return "stop";
  try {
    await context.github.redeliver(target, failure.deliveryId, signal);
    return "taken";
  } catch (error) {
    if (signal.aborted) return "stop";
    if (!(error instanceof RateLimitedError)) return pass(error, round, "refused");
    round.pauseMs = error.retryAfterMs;
    return "stop";
  }
}

/** One item's failure is counted and stops nothing; a rate limit stops the round. */
function pass<T>(error: unknown, round: Round, otherwise: T): T {
  if (error instanceof RateLimitedError) throw error;
  round.errors += 1;
  round.lastError = error instanceof Error ? error.message : String(error);
  return otherwise;
}

function tell(context: WorkerContext, round: Round): void {
  const { metrics, log } = context;
  metrics.recovered({ how: "redelivered", count: round.redelivered });
  metrics.swept({ rule: "redeliver-failed", outcome: round.errors > 0 ? "error" : "done" });
  const { failed, failedAgain, recovered, redelivered, expired, errors, pauseMs } = round;
  const isNews =
    failed + failedAgain + recovered + redelivered + expired + errors > 0 || pauseMs !== undefined;
  if (!isNews) return;
  const isBad = expired + errors > 0 || pauseMs !== undefined;
  log[isBad ? "warn" : "info"]("deliveries.recovered", round);
}
