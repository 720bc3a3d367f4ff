import { RateLimitedError } from "@grp/core";
import { createAside } from "./aside.ts";
import { inOrder, type Line, type Refusal, type Waiting } from "./line.ts";

/** Whoever waits for leave, or behind a call, for longer gives its work back meanwhile; as for calls that are no launches. */
export const LONGEST_HOLD_MS = 5_000;

/** A provider that hangs is asked in vain for half a minute: those who come back for it are few hands each second. */
const OVERDUE_RETRY_MS = 2_000;

interface HandsOptions {
  readonly now: () => number;
  readonly mostHeld: number;
}

/** The worker's hands, of which no more than `mostHeld` wait for leave or for an answer that is overdue, of all lines together. */
export interface Hands<M, R> {
  /** Leave was refused to the line. Of all that wait for leave, the first in order stay, none for long; the others are laid aside. */
  hold(line: Line<M, R>, refusal: Refusal): void;
  /**
   * Their call is overdue: as many as there is room for stay in it. It goes on without the others, who come back for what
   * became of it, and nobody waits behind it. What is returned is to be called when the call is over.
   */
  holdOverdue(members: readonly Waiting<M, R>[], line: Line<M, R>): () => void;
}

export function createHands<M, R>(
  lines: ReadonlyMap<string, Line<M, R>>,
  { now, mostHeld }: HandsOptions,
): Hands<M, R> {
  const aside = createAside(now);
  let overdue = 0;

  const refused = () => [...lines.values()].filter(({ refusal }) => refusal !== undefined);
  const isLong = ({ heldAt }: Waiting<M, R>) => heldAt !== undefined && now() - heldAt >= LONGEST_HOLD_MS;
  const keep = (one: Waiting<M, R>) => {
    if (one.heldAt === undefined) one.joining.held?.(one.joining.member);
    one.heldAt ??= now();
  };

  /** Of each line no more than one call takes. */
  function chooseKept(held: readonly Line<M, R>[]): ReadonlySet<Waiting<M, R>> {
    const candidates = held.flatMap(({ waiting }) => {
      const some = inOrder(waiting).filter((one) => !isLong(one));
      return some.slice(0, some[0]?.joining.limit);
    });
    return new Set(inOrder(candidates).slice(0, Math.max(0, mostHeld - overdue)));
  }

  function layOthers({ waiting, refusal }: Line<M, R>, kept: ReadonlySet<Waiting<M, R>>): void {
    const all = inOrder(waiting);
    const [first] = all;
    if (!first || !refusal) return;
    const { key, limit } = first.joining;
    const { waitMs, shortage = { name: key, everyMs: waitMs, machines: limit } } = refusal;
    // One call takes no more than there are in its line.
    const short = { ...shortage, machines: Math.min(shortage.machines, all.length) };
    const ahead = all.filter((one) => kept.has(one)).length;
    for (const one of all) {
      if (kept.has(one)) keep(one);
      else {
        waiting.delete(one);
        one.reject(aside.lay(short, { order: one.order, ahead, waitMs }));
      }
    }
  }

  return {
    hold(line, refusal) {
      line.refusal = refusal;
      const held = refused();
      const kept = chooseKept(held);
      for (const one of held) layOthers(one, kept);
    },
    holdOverdue(members, line) {
      layAll(line);
      const held = refused().reduce((sum, { waiting }) => sum + waiting.size, overdue);
      const room = Math.max(0, mostHeld - held);
      for (const one of members.slice(room)) {
        one.leaveCall?.("goesOn");
        one.reject(notAnswered(one));
      }
      const stayed = Math.min(room, members.length);
      overdue += stayed;
      line.overdue += 1;
      return () => {
        overdue -= stayed;
        line.overdue -= 1;
      };
    },
  };
}

/** Nobody waits behind a call that is overdue: its answer may be long in coming. */
export function layAll<M, R>({ waiting }: Line<M, R>): void {
  for (const one of waiting) {
    waiting.delete(one);
    one.reject(notAnswered(one));
  }
}

function notAnswered<M, R>({ joining: { key } }: Waiting<M, R>): RateLimitedError {
  const details = { code: "unanswered", retryAfterMs: OVERDUE_RETRY_MS, isShared: true };
  return new RateLimitedError(`an earlier call is not answered yet (${key})`, details);
}
