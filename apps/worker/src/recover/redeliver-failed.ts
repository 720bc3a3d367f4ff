import { RateLimitedError } from "@grp/core";
import type { HookTarget } from "@grp/github";
import type { WorkerContext } from "../context.ts";
import { isInLine } from "../in-line.ts";
import { countBlindness, listLasting, MANY, nameBlind, warnOfLostWork } from "./blindness.ts";
import {
  type Answers,
  chooseDue,
  chooseProbe,
  countTaken,
  type Failure,
  makeDue,
  markAsked,
  nameOf,
} from "./failures.ts";
import { credentialOf, type FindHooks, keyOf } from "./find-hooks.ts";
import { readHook } from "./read-hook.ts";
import { loadState, type RecoveryState, saveState } from "./state.ts";

/** Of GitHub's 900 points a minute a redelivery costs five: this leaves the other half to registrations. */
const MOST_REDELIVERIES = 90;
/** Asked for between two saves: what a crash has sent twice. */
const UNSAVED = 30;
/** While the ingress takes none, a few are enough to see when it is back. */
const CANARIES = 3;
/** With more hooks than that, each is read every second round, or third: 1,200 calls an hour at the most. */
const MOST_HOOKS = 20;
/** Of all hooks: with the redeliveries, 500 points of GitHub's 900 a minute. What is left is read by the next rounds. */
const MOST_PAGES = 50;

/**
 * One round: reads what GitHub could not deliver since the last one (up to its three days) and has it sent again. Each
 * failed attempt is answered once, at growing pauses, until the ingress takes it or GitHub forgets it. While the ingress
 * takes none, a few show when it is back; then all are asked for at once, however long it was away. A crash in
 * mid-round may have thirty sent twice, which the ingress knows; none is ever dropped. Where GitHub refuses one hook, or
 * wants a pause of one App, the others go on.
 *
 * Cost in REST calls: one an hour for each App, or owner and repository, to find the hooks; one a round and hook to read
 * (60 an hour with one App, at most 1,200 with many hooks), a page more for each hundred failures, of which a round reads
 * fifty in all; one for each redelivery.
 */
export async function redeliverFailed(
  context: WorkerContext,
  findHooks: FindHooks,
  signal: AbortSignal,
): Promise<void> {
  const round = createRound();
  const { hooks, unseen } = await findHooks(signal);
  const before = await loadState(context.ledger);
  const part: Part = { context, round, hooks, signal, limited: new Map() };
  const read = await readHooks(part, before);
  const blind = [
    ...unseen,
    ...part.limited.values(),
    ...(hooks.length + unseen.length === 0 ? [NO_HOOK] : []),
  ];
  const asked = await askForDue(part, judgeIngress(part, read));
  const roundAt = context.now();
  const state = { ...asked, roundAt, blind: countBlindness(before.blind, blind) };
  await saveState(context.ledger, state);
  round.open = state.open.length;
  tell(context, round);
  await warnOfLostWork(context, describeLoss(part, state), before.roundAt ? roundAt - before.roundAt : 0);
}

type Round = ReturnType<typeof createRound>;

function createRound() {
  return {
    hooks: 0,
    pages: 0,
    failed: 0,
    failedAgain: 0,
    holding: 0,
    recovered: 0,
    expired: 0,
    redelivered: 0,
    open: 0,
    errors: 0,
    lastError: undefined as string | undefined,
    oldestAgeMs: undefined as number | undefined,
    /** GitHub wants a pause of one credential, or our own budget is for claims first. */
    pauseMs: undefined as number | undefined,
    afterClaimsMs: undefined as number | undefined,
  };
}

interface Part {
  readonly context: WorkerContext;
  readonly round: Round;
  readonly hooks: readonly HookTarget[];
  readonly signal: AbortSignal;
  /** Credentials that are asked for nothing more in this round, each as what can't be seen: GitHub wants a pause, or claims go first. */
  readonly limited: Map<string, string>;
}

/** Those first that were not tried for the longest time, refused or not. */
function chooseHooks(hooks: readonly HookTarget[], state: RecoveryState): readonly HookTarget[] {
  const triedAt = (hook: HookTarget) => state.hooks[keyOf(hook)]?.triedAt ?? 0;
  return hooks.toSorted((one, other) => triedAt(one) - triedAt(other)).slice(0, MOST_HOOKS);
}

async function readHooks(part: Part, before: RecoveryState): Promise<RecoveryState> {
  const { context, round, signal, limited } = part;
  const chosen = chooseHooks(part.hooks, before);
  let state = before;
  for (const [index, hook] of chosen.entries()) {
    if (signal.aborted || limited.has(credentialOf(hook))) continue;
    const hooksAfter = chosen.length - index - 1;
    const mostPages = MOST_PAGES - round.pages - hooksAfter;
    const { error, ...read } = await readHook(context, { hook, mostPages, signal }, state);
    if (signal.aborted) break;
    state = read.state;
    round.pages += read.pages;
    round.failed += read.failed;
    round.failedAgain += read.failedAgain;
    round.holding += read.holding;
    round.recovered += read.recovered;
    round.expired += read.expired;
    if (error === undefined) round.hooks += 1;
    else note(part, hook, error);
  }
  return state;
}

/** By what became of those that were asked for; where none were, it stays as it was. */
function judgeIngress({ context, round }: Part, state: RecoveryState): RecoveryState {
  const { failedAgain, holding } = round;
  if (failedAgain + holding === 0) return state;
  const isDown = failedAgain >= holding;
  const isBack = state.isDown && !isDown;
  return { ...state, isDown, open: isBack ? makeDue(state.open, context.now()) : state.open };
}

async function askForDue(part: Part, before: RecoveryState): Promise<RecoveryState> {
  const { context, round, hooks, signal } = part;
  const targets = new Map(hooks.map((hook) => [keyOf(hook), hook]));
  let state = before;
  const most = state.isDown ? CANARIES : MOST_REDELIVERIES;
  // Another worker may have found a hook that this one has not heard of yet: its failures wait for that one's round.
  const known = state.open.filter(({ hook }) => targets.has(hook));
  const due = choose(state, known, context.now());
  const answers = new Map<string, "taken" | "refused">();
  for (const failure of due) {
    if (signal.aborted || answers.size >= most) break;
    const answer = await ask(part, targets.get(failure.hook) as HookTarget, failure);
    if (answer) answers.set(nameOf(failure), answer);
    if (answer && answers.size % UNSAVED === 0)
      state = await saveState(context.ledger, { ...state, ...noteAnswers(before, answers, context.now()) });
  }
  round.redelivered = countTaken(answers);
  const [oldest] = due;
  if (oldest) round.oldestAgeMs = context.now() - oldest.firstFailedAt;
  return { ...before, revision: state.revision, ...noteAnswers(before, answers, context.now()) };
}

function noteAnswers(
  { open, lastAskedAt }: RecoveryState,
  answers: Answers,
  now: number,
): Pick<RecoveryState, "open" | "lastAskedAt"> {
  return { open: markAsked(open, answers, now), lastAskedAt: answers.size > 0 ? now : lastAskedAt };
}

function choose(
  { isDown, lastAskedAt }: RecoveryState,
  open: readonly Failure[],
  now: number,
): readonly Failure[] {
  const due = chooseDue(open, now);
  return isDown && due.length === 0 ? chooseProbe(open, { lastAskedAt, now }) : due;
}

/** One that GitHub refuses comes again after a pause, like one that failed, and holds up nobody. */
async function ask(
  part: Part,
  target: HookTarget,
  failure: Failure,
): Promise<"taken" | "refused" | undefined> {
  const { context, signal, limited } = part;
  if (limited.has(credentialOf(target))) return undefined;
  try {
    await context.github.redeliver(target, failure.deliveryId, signal);
    return "taken";
  } catch (error) {
    if (signal.aborted) return undefined;
    note(part, target, error);
    return error instanceof RateLimitedError ? undefined : "refused";
  }
}

/** One item's failure is counted and stops nothing; a rate limit stops what else that credential would be asked. */
function note({ round, limited }: Part, hook: HookTarget, error: unknown): void {
  if (error instanceof RateLimitedError) {
    const who = credentialOf(hook);
    limited.set(who, nameBlind(who, error));
    const what = isInLine(error) ? "afterClaimsMs" : "pauseMs";
    round[what] = Math.max(round[what] ?? 0, error.retryAfterMs);
    return;
  }
  round.errors += 1;
  round.lastError = error instanceof Error ? error.message : String(error);
}

const NO_HOOK = "hooks";

function describeLoss({ round, hooks }: Part, { blind, hooks: readings }: RecoveryState): readonly string[] {
  const lasting = listLasting(blind);
  const refused = hooks.filter((hook) => (readings[keyOf(hook)]?.refusals ?? 0) >= MANY).map(credentialOf);
  const unread = [...new Set([...lasting.filter((what) => what !== NO_HOOK), ...refused])];
  return [
    ...(lasting.includes(NO_HOOK)
      ? [
          "GitHub shows us no webhook that points at our ingress, so what the ingress misses is not sent again; see deliveries.no-hook and deliveries.hooks-unseen in the worker's log",
        ]
      : []),
    ...unread.map(
      (who) =>
        `failed deliveries can't be read with ${who}, round after round, so what the ingress misses is not sent again; see deliveries.recovered in the worker's log`,
    ),
    ...(round.expired > 0
      ? [
          "deliveries that the ingress never took are older than GitHub's three days, and lost; see expired of deliveries.recovered in the worker's log",
        ]
      : []),
  ];
}

function tell(context: WorkerContext, round: Round): void {
  const { metrics, log } = context;
  metrics.recovered({ how: "redelivered", count: round.redelivered });
  metrics.swept({ rule: "redeliver-failed", outcome: round.errors > 0 ? "error" : "done" });
  const { failed, failedAgain, recovered, redelivered, expired, errors, pauseMs, afterClaimsMs } = round;
  const isHeld = pauseMs !== undefined || afterClaimsMs !== undefined;
  const isNews = failed + failedAgain + recovered + redelivered + expired + errors > 0 || isHeld;
  if (!isNews) return;
  const isBad = expired + errors > 0 || pauseMs !== undefined;
  log[isBad ? "warn" : "info"]("deliveries.recovered", round);
}
