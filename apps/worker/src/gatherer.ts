import { setTimeout as sleep } from "node:timers/promises";
import { type Admission, type Leave, RateLimitedError } from "@grp/core";
import { createAside } from "./aside.ts";

/** What one call is made for; several of them may share it. */
export interface Joining<M, R> {
  /** Those of one key may share a call; one call at a time is made for it. */
  readonly key: string;
  readonly member: M;
  /** The most members of one call. With 1, and no leave to be asked, calls go out side by side. */
  readonly limit: number;
  /** Since when it waits, all in all: of those who wait for leave, the oldest go first. */
  readonly since?: number;
  /**
   * Leave for a call of so many, or of fewer, asked before each; while one waits for it, more come together. Who would wait
   * for long is laid aside meanwhile: thrown a `RateLimitedError` that says when its turn may have come. What `run` does
   * not use of it is given back.
   */
  admit?(wanted: number): Promise<Admission>;
  /** Told once of each member that waits for that leave. */
  held?(member: M): void;
  /** Ends the wait of this member alone; a call under way ends when all of its members have gone. */
  readonly signal: AbortSignal;
  /** One answer for each member, in their order. What it throws is thrown to all of them. */
  run(members: readonly M[], signal: AbortSignal, leave?: Leave): Promise<readonly R[]>;
  /** After a failure, whoever joins within so many ms gets the same error, and no call is made. */
  coolMs?(members: readonly M[]): number;
}

export interface Gatherer<M, R> {
  join(joining: Joining<M, R>): Promise<R>;
}

interface Waiting<M, R> {
  readonly joining: Joining<M, R>;
  heldAt?: number;
  /** Set while it is in a call: it wants nothing of that any more. */
  leaveCall?: () => void;
  resolve(answer: R): void;
  reject(error: unknown): void;
}

interface Line<M, R> {
  readonly waiting: Set<Waiting<M, R>>;
  isCalling: boolean;
  /** Set from when leave was refused until there was enough for all that one call takes. */
  refusal?: Refusal;
  /** How many wait for an answer that is overdue. */
  overdue: number;
}

interface Admitted<M, R> {
  readonly members: readonly Waiting<M, R>[];
  readonly leave?: Leave | undefined;
}

type Refusal = Exclude<Admission, { readonly granted: number }>;

export interface GathererOptions {
  /** The most that wait for leave, or for an answer that is overdue, whatever their keys; no limit when absent. */
  readonly mostHeld?: number;
  /** A call is overdue then, and nobody waits behind it any more. */
  readonly overdueMs?: number;
  readonly now?: () => number;
}

/**
 * Gathers what comes while a call for the same key is in flight; it goes out together as the next one. So nobody waits
 * for company: the first goes at once, and the busier it gets, the larger the calls become.
 */
export function createGatherer<M, R>(options: GathererOptions = {}): Gatherer<M, R> {
  const { now = Date.now, overdueMs = LONGEST_HOLD_MS } = options;
  const lines = new Map<string, Line<M, R>>();
  const failures = createFailures(now);
  const hold = createHold(lines, options);

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

  async function serveNext(line: Line<M, R>): Promise<void> {
    const admitted = await takeAdmitted(line, hold);
    const timer = setTimeout(() => {
      line.overdue = admitted.members.length;
      layAll(line);
    }, overdueMs).unref();
    await serve(admitted);
    clearTimeout(timer);
    line.overdue = 0;
  }

  async function callOn(key: string, line: Line<M, R>): Promise<void> {
    if (line.isCalling) return;
    line.isCalling = true;
    // Those that come in the same turn of the event loop come together.
    await new Promise(setImmediate);
    while (line.waiting.size > 0) await serveNext(line);
    lines.delete(key);
  }

  return {
    async join(joining) {
      const { key, signal, limit, member, run } = joining;
      signal.throwIfAborted();
      if (limit === 1 && !joining.admit) return (await run([member], signal))[0] as R;
      const line = lines.get(key) ?? { waiting: new Set(), isCalling: false, overdue: 0 };
      lines.set(key, line);
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
          resolve: settled(resolve),
          reject: settled(reject),
        };
        signal.addEventListener("abort", leave, { once: true });
        line.waiting.add(waiting);
        if (line.overdue > 0) layAll(line);
        else if (line.refusal) hold(line, line.refusal);
        void callOn(key, line);
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

/** Whoever waits for leave, or behind a call, for longer gives its work back meanwhile; as for calls that are no launches. */
const LONGEST_HOLD_MS = 5_000;

/** A provider that hangs is asked in vain for half a minute: those who come back for it are few hands each second. */
const OVERDUE_RETRY_MS = 2_000;

/** The answer that they wait behind may be long in coming. */
function layAll<M, R>({ waiting }: Line<M, R>): void {
  for (const one of waiting) {
    waiting.delete(one);
    const text = `the call before is not answered yet (${one.joining.key})`;
    const details = { code: "unanswered", retryAfterMs: OVERDUE_RETRY_MS, isShared: true };
    one.reject(new RateLimitedError(text, details));
  }
}

/** Leave was refused to a line: few enough of it wait, none for long, and the others are laid aside. */
type Hold<M, R> = (line: Line<M, R>, refusal: Refusal) => void;

function createHold<M, R>(lines: ReadonlyMap<string, Line<M, R>>, options: GathererOptions): Hold<M, R> {
  const { now = Date.now, mostHeld = Number.POSITIVE_INFINITY } = options;
  const aside = createAside(now);
  const roomFor = (line: Line<M, R>, limit: number) => {
    const others = [...lines.values()].filter((other) => other !== line);
    const heldBy = ({ refusal, waiting, overdue }: Line<M, R>) => overdue + (refusal ? waiting.size : 0);
    return Math.min(limit, mostHeld - others.reduce((sum, other) => sum + heldBy(other), 0));
  };
  const keep = (one: Waiting<M, R>) => {
    if (one.heldAt === undefined) one.joining.held?.(one.joining.member);
    one.heldAt ??= now();
  };
  return (line, refusal) => {
    line.refusal = refusal;
    const waiting = inOrder(line);
    const [first] = waiting;
    if (!first) return;
    const { key, limit } = first.joining;
    const { waitMs, shortage = { name: key, everyMs: waitMs, machines: limit } } = refusal;
    // One call takes no more than there are in its line.
    const short = { ...shortage, machines: Math.min(shortage.machines, waiting.length) };
    const room = roomFor(line, limit);
    let ahead = 0;
    for (const one of waiting) {
      const isLong = one.heldAt !== undefined && now() - one.heldAt >= LONGEST_HOLD_MS;
      if (ahead < room && !isLong) {
        keep(one);
        ahead += 1;
        continue;
      }
      line.waiting.delete(one);
      one.reject(aside.lay(short, { since: one.joining.since ?? now(), ahead, waitMs }));
    }
  };
}

/** Those who have waited longest, as many as have leave to go into one call; none when nobody waits any more. */
async function takeAdmitted<M, R>(line: Line<M, R>, hold: Hold<M, R>): Promise<Admitted<M, R>> {
  while (line.waiting.size > 0) {
    const admission = await askLeave(line);
    if ("granted" in admission) return { members: take(line, admission.granted), leave: admission.leave };
    hold(line, admission);
    if (line.waiting.size > 0) await sleep(Math.min(admission.waitMs, LONGEST_SLEEP_MS));
  }
  return { members: [] };
}

/** Leave that can't be asked for is told to those whom it was for. */
async function askLeave<M, R>(line: Line<M, R>): Promise<Admission> {
  const [first] = line.waiting as Iterable<Waiting<M, R>>;
  if (!first) return { granted: 0 };
  const { admit, limit } = first.joining;
  const wanted = Math.min(limit, line.waiting.size);
  try {
    const admission = (await admit?.(wanted)) ?? { granted: wanted };
    if ("granted" in admission && admission.granted >= wanted) delete line.refusal;
    return admission;
  } catch (error) {
    for (const member of take(line, wanted)) member.reject(error);
    return { granted: 0 };
  }
}

function inOrder<M, R>({ waiting }: Line<M, R>): readonly Waiting<M, R>[] {
  return [...waiting].sort((one, other) => (one.joining.since ?? 0) - (other.joining.since ?? 0));
}

function take<M, R>(line: Line<M, R>, most: number): readonly Waiting<M, R>[] {
  const members = inOrder(line).slice(0, most);
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
    const leaveCall = () => {
      left -= 1;
      if (left === 0) controller.abort(signal.reason);
    };
    member.leaveCall = leaveCall;
    // It left on the way here.
    if (signal.aborted) leaveCall();
  }
  return controller.signal;
}
