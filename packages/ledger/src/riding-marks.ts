import type { Enqueuing } from "./types.ts";

/** Its demand is in the queue. */
export interface EnqueuedMark extends Enqueuing {
  readonly key: string;
}

/** As long as it may be seen to be missing by another process, which then only enqueues once more. */
const LONGEST_MS = 20;

interface Rider {
  readonly mark: EnqueuedMark;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Marks for which nobody waits go along with the next call, so that a delivery wakes both sides once less: at a thousand
 * a second, waking up costs more than the work. `send` takes those that found no call in time.
 */
export function createRidingMarks(send: (marks: readonly EnqueuedMark[]) => Promise<unknown>) {
  let waiting: Rider[] = [];
  let timer: NodeJS.Timeout | undefined;

  /** All that wait go with `call`, and its end is theirs. */
  async function takeAlong<T>(call: (marks: readonly EnqueuedMark[]) => Promise<T>): Promise<T> {
    const riders = waiting;
    waiting = [];
    clearTimeout(timer);
    timer = undefined;
    try {
      const value = await call(riders.map(({ mark }) => mark));
      for (const { resolve } of riders) resolve();
      return value;
    } catch (error) {
      for (const { reject } of riders) reject(error);
      throw error;
    }
  }

  return {
    takeAlong,
    add: (mark: EnqueuedMark) =>
      new Promise<void>((resolve, reject) => {
        waiting.push({ mark, resolve, reject });
        // Each rider is told of the failure; there is nobody else to tell.
        timer ??= setTimeout(() => takeAlong(send).catch(() => undefined), LONGEST_MS);
      }),
  };
}
