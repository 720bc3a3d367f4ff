import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Admission, Leave, Turn } from "@grp/core";
import { createHands, type Hands, LONGEST_HOLD_MS, layAll } from "./hands.ts";
import { createLine, inOrder, isDue, type Joining, type Line, type Waiting } from "./line.ts";

export interface Gatherer<M, R> {
  join(joining: Joining<M, R>): Promise<R>;
}

interface Admitted<M, R> {
  readonly members: readonly Waiting<M, R>[];
  readonly leave?: Leave | undefined;
}

export interface GathererOptions {
  /** The most that wait for leave, or for an answer that is overdue, whatever their keys; no limit when absent. */
  readonly mostHeld?: number;
  /** A call is overdue then, and nobody waits behind it any more. */
  readonly overdueMs?: number;
  readonly now?: () => number;
}

/**
 * Gathers what comes while a call for the same key is in flight; it goes out together as the next one, or beside it if it is
 * a full one. So nobody waits for company: the first goes at once, and the busier it gets, the larger the calls become.
 */
export function createGatherer<M, R>(options: GathererOptions = {}): Gatherer<M, R> {
  const { now = Date.now, overdueMs = LONGEST_HOLD_MS, mostHeld = Number.POSITIVE_INFINITY } = options;
  const lines = new Map<string, Line<M, R>>();
  const failures = createFailures(now);
  const hands = createHands(lines, { now, mostHeld });
  const askLeave = createAsking(randomUUID());

  async function call({ members, leave }: Admitted<M, R>): Promise<readonly R[]> {
    const [{ joining }] = members as [Waiting<M, R>];
    failures.check(joining.key);
    const all = members.map((one) => one.joining.member);
    try {
      return await joining.run(all, untilAllLeave(members), leave);
    } catch (error) {
      failures.remember(joining.key, error, joining.coolMs?.(all) ?? 0);
      throw error;
    }
  }

  async function serve({ members, leave }: Admitted<M, R>): Promise<void> {
    try {
      const answers = members.length > 0 ? await call({ members, leave }) : [];
      for (const [index, member] of members.entries()) member.resolve(answers[index] as R);
    } catch (error) {
      for (const member of members) member.reject(error);
    } finally {
      leave?.giveBack();
    }
  }

  async function serveInTime(admitted: Admitted<M, R>, line: Line<M, R>): Promise<void> {
    let free = () => {};
    const timer = setTimeout(() => {
      free = hands.holdOverdue(admitted.members, line);
    }, overdueMs).unref();
    await serve(admitted);
    clearTimeout(timer);
    free();
  }

  async function callOn(key: string, line: Line<M, R>): Promise<void> {
    // Those that come in the same turn of the event loop come together.
    await new Promise(setImmediate);
    while (line.waiting.size > 0) {
      const admitted = await takeAdmitted(line, { hands, askLeave });
      line.underWay += 1;
      void serveInTime(admitted, line).then(() => {
        line.underWay -= 1;
        line.lookAgain();
      });
      while (!isDue(line)) await new Promise<void>((lookAgain) => (line.lookAgain = lookAgain));
    }
    lines.delete(key);
  }

  function standInLine(waiting: Waiting<M, R>, line: Line<M, R>): void {
    const { key } = waiting.joining;
    const isCalledFor = lines.has(key);
    lines.set(key, line);
    line.waiting.add(waiting);
    if (line.overdue > 0) layAll(line);
    else if (line.refusal) hands.hold(line, line.refusal);
    if (!isCalledFor) void callOn(key, line);
    else if (isDue(line)) line.lookAgain();
  }

  return {
    async join(joining) {
      const { key, signal, limit, order = now() } = joining;
      signal.throwIfAborted();
      const isAlone = limit === 1 && !joining.admit;
      const line = lines.get(key) ?? createLine();
      return new Promise<R>((resolve, reject) => {
        const leave = () => {
          line.waiting.delete(waiting);
          waiting.leaveCall?.();
          reject(signal.reason);
        };
        const settled = <T>(settle: (value: T) => void) => {
          return (value: T) => {
            signal.removeEventListener("abort", leave);
            settle(value);
          };
        };
        const waiting: Waiting<M, R> = {
          joining,
          order,
          resolve: settled(resolve),
          reject: settled(reject),
        };
        signal.addEventListener("abort", leave, { once: true });
        if (isAlone) void serveInTime({ members: [waiting] }, line);
        else standInLine(waiting, line);
      });
    },
  };
}

/** What failed a moment ago, for those who come to ask for the same. */
function createFailures(now: () => number) {
  const failures = new Map<string, { readonly error: unknown; readonly until: number }>();
  return {
    /** Throws the error that is still fresh. */
    check(key: string): void {
      const failed = failures.get(key);
      if (failed && failed.until > now()) throw failed.error;
    },
    remember(key: string, error: unknown, forMs: number): void {
      for (const [other, { until }] of failures) if (until <= now()) failures.delete(other);
      if (forMs > 0) failures.set(key, { error, until: now() + forMs });
    },
  };
}

/** Asks for leave again after so long at most, for those who waited for it may have gone. */
const LONGEST_SLEEP_MS = 1_000;

/** Of one that does not ask again in time, all have been laid aside. */
const TURN = { patienceMs: 150, returnsMs: LONGEST_SLEEP_MS };

/** Leave for the first of the line; one that can't be asked for is told to those whom it was for. */
type AskLeave = <M, R>(line: Line<M, R>) => Promise<Admission>;

/** `id`: other processes have lines of the same keys. */
function createAsking(id: string): AskLeave {
  return async (line) => {
    const [first] = inOrder(line.waiting);
    if (!first) return { granted: 0 };
    const { admit, limit, key } = first.joining;
    const wanted = Math.min(limit, line.waiting.size);
    const turn: Turn = { member: `${id}|${key}`, order: first.order, ...TURN };
    try {
      const admission = (await admit?.(wanted, turn)) ?? { granted: wanted };
      line.isShort = !("granted" in admission) || admission.granted < wanted;
      if (!line.isShort) delete line.refusal;
      return admission;
    } catch (error) {
      for (const member of take(line, wanted)) member.reject(error);
      return { granted: 0 };
    }
  };
}

/**
 * Those who come first, as many as have leave to go into one call; none when nobody waits any more, or when they may as well
 * gather behind a call that is under way.
 */
async function takeAdmitted<M, R>(
  line: Line<M, R>,
  { hands, askLeave }: { readonly hands: Hands<M, R>; readonly askLeave: AskLeave },
): Promise<Admitted<M, R>> {
  while (line.waiting.size > 0) {
    const admission = await askLeave(line);
    if ("granted" in admission) return { members: take(line, admission.granted), leave: admission.leave };
    if (line.underWay > 0) break;
    hands.hold(line, admission);
    if (line.waiting.size > 0) await sleep(Math.min(admission.waitMs, LONGEST_SLEEP_MS));
  }
  return { members: [] };
}

function take<M, R>(line: Line<M, R>, most: number): readonly Waiting<M, R>[] {
  const members = inOrder(line.waiting).slice(0, most);
  for (const member of members) line.waiting.delete(member);
  return members;
}

/** Ends a call that nobody waits for any more. */
function untilAllLeave<M, R>(members: readonly Waiting<M, R>[]): AbortSignal {
  const controller = new AbortController();
  let left = members.length;
  for (const member of members) {
    const { signal } = member.joining;
    // Named first: see ADR 11.
    const leaveCall = (goesOn?: "goesOn") => {
      left -= 1;
      if (left === 0 && !goesOn) controller.abort(signal.reason);
    };
    member.leaveCall = leaveCall;
    // It left on the way here.
    if (signal.aborted) leaveCall();
  }
  return controller.signal;
}
