import { InvalidSpecError, RateLimitedError } from "@grp/core";
import type { FailedDeliveries, HookTarget } from "@grp/github";
import type { WorkerContext } from "../context.ts";
import { countHolding, type Failure, isExpired, isRecovered, type Taken, takePage } from "./failures.ts";
import { keyOf } from "./find-hooks.ts";
import { findGaps, type Gap, type HookReading, loseCursor, passPage, UNREAD } from "./reading.ts";
import type { RecoveryState } from "./state.ts";

export interface HookRead {
  readonly state: RecoveryState;
  readonly pages: number;
  readonly failed: number;
  readonly failedAgain: number;
  /** Asked for since the last reading, and not seen to have failed. */
  readonly holding: number;
  readonly recovered: number;
  readonly expired: number;
  /** What ended the reading before its end; all that was read before stands. */
  readonly error?: unknown;
}

interface Walk {
  reading: HookReading;
  open: readonly Failure[];
  /** To be read next, and what comes after it. */
  gap: Gap | undefined;
  rest: readonly Gap[];
  /** There is no room for all: the news are looked through for what is known already, and stay unread. */
  isFull: boolean;
  /** In the news, what is older was not looked through. */
  newsDownTo: number;
  readonly counts: { pages: number; failed: number; failedAgain: number };
  error?: unknown;
}

/** Reads what is new in a hook's list and what earlier rounds have left, page by page; lets go of what that settles. */
export async function readHook(
  context: WorkerContext,
  order: { readonly hook: HookTarget; readonly mostPages: number; readonly signal: AbortSignal },
  state: RecoveryState,
): Promise<HookRead> {
  const key = keyOf(order.hook);
  const now = context.now();
  const done = await walk(context, order, state);
  const { reading, open, error, counts } = done;
  const below = unreadBelow(done);
  const lastReadAt = (state.hooks[key] ?? UNREAD).triedAt;
  const left = open.filter((one) => !isRecovered(one, { of: key, unreadBelow: below, now }));
  const kept = left.filter((one) => !isExpired(one, now));
  return {
    ...counts,
    state: { ...state, open: kept, hooks: { ...state.hooks, [key]: reading } },
    holding: error === undefined ? countHolding(open, key, lastReadAt) : 0,
    recovered: open.length - left.length,
    expired: left.length - kept.length,
    ...(error === undefined ? {} : { error }),
  };
}

async function walk(
  context: WorkerContext,
  { hook, mostPages, signal }: Parameters<typeof readHook>[1],
  { hooks, open }: RecoveryState,
): Promise<Walk> {
  const key = keyOf(hook);
  const now = context.now();
  const before = hooks[key] ?? UNREAD;
  const [gap, ...rest] = findGaps(before, now);
  const state: Walk = {
    reading: { ...before, triedAt: now },
    open,
    gap,
    rest,
    isFull: false,
    newsDownTo: Number.POSITIVE_INFINITY,
    counts: { pages: 0, failed: 0, failedAgain: 0 },
  };
  while (state.gap && state.counts.pages < mostPages) {
    try {
      const page = await context.github.listFailedDeliveries(hook, state.gap, signal);
      takeIn(state, takePage(state.open, { hook: key, page, now }));
      goOn(state, { page, isNews: state.rest.length === rest.length });
    } catch (error) {
      refuse(state, error);
      return state;
    }
  }
  state.reading = { ...state.reading, refusals: 0 };
  return state;
}

function takeIn(state: Walk, { open, fresh, again, isCut }: Taken): void {
  state.open = open;
  state.counts.pages += 1;
  state.counts.failed += fresh;
  state.counts.failedAgain += again;
  state.isFull ||= isCut;
}

function goOn(state: Walk, { page, isNews }: { page: FailedDeliveries; isNews: boolean }): void {
  const { gap, rest } = state;
  if (!gap) return;
  const { cursor, downTo = 0 } = page;
  if (isNews) state.newsDownTo = cursor === undefined ? 0 : downTo;
  if (state.isFull) {
    state.gap = isNews && cursor !== undefined ? { sinceMs: gap.sinceMs, cursor } : undefined;
    return;
  }
  state.reading = passPage(state.reading, { gap, rest, page });
  [state.gap, ...state.rest] = state.reading.gaps;
}

/** What was read stands. A cursor that GitHub knows no longer is forgotten; a pause that it wants is no refusal. */
function refuse(state: Walk, error: unknown): void {
  const { gap, reading } = state;
  state.error = error;
  state.newsDownTo = Number.POSITIVE_INFINITY;
  const left =
    gap?.cursor !== undefined && error instanceof InvalidSpecError ? loseCursor(reading, gap) : reading;
  const refusals = error instanceof RateLimitedError ? left.refusals : left.refusals + 1;
  state.reading = { ...left, refusals };
}

/** What is older, down from there, was not looked through by anybody. */
function unreadBelow({ newsDownTo, isFull, reading, error }: Walk): number {
  const left = reading.gaps.map(({ downTo = 0 }) => downTo);
  return Math.max(isFull || error !== undefined ? newsDownTo : 0, ...left);
}
