import type { Queue, Worker } from "bullmq";
import { settleWithin } from "./connection.ts";

/** Time for aborted work to hand itself back; what doesn't is found as stalled by another worker. */
const GRACE_MS = 2_000;
const POLL_MS = 20;

/** The work that this process has in hand, and how it is told to stop. */
export interface Hands {
  /** Runs `work` with a signal of its own; already aborted for work that slips in while stopping. */
  hold<T>(jobId: string, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  abort(jobId: string, why: string): void;
  /** Waits until the deadline, then aborts what is left and waits a little more. True when nothing is left. */
  empty(deadlineMs: number): Promise<boolean>;
}

export function createHands(): Hands {
  const held = new Map<string, AbortController>();
  let isStopping = false;
  const stopping = () => new Error("the worker is stopping");
  const isEmptyBy = async (untilMs: number) => {
    while (held.size > 0 && Date.now() < untilMs)
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    return held.size === 0;
  };
  return {
    async hold(jobId, work) {
      const controller = new AbortController();
      if (isStopping) controller.abort(stopping());
      held.set(jobId, controller);
      try {
        return await work(controller.signal);
      } finally {
        held.delete(jobId);
      }
    },
    abort: (jobId, why) => held.get(jobId)?.abort(new Error(why)),
    async empty(deadlineMs) {
      isStopping = true;
      if (await isEmptyBy(Date.now() + deadlineMs)) return true;
      for (const controller of held.values()) controller.abort(stopping());
      return isEmptyBy(Date.now() + GRACE_MS);
    },
  };
}

/**
 * Takes nothing new, empties the hands and ends the worker. `cut` breaks its connection if it must. Bounded, also when
 * Redis is frozen or away.
 */
export async function stopWorker(
  { worker, queue, hands, cut }: { worker: Worker; queue: Queue; hands: Hands; cut: () => void },
  deadlineMs: number,
): Promise<void> {
  await worker.pause(true);
  const isEmpty = await hands.empty(deadlineMs);
  // Work that ignores its signal would keep a gentle close waiting for ever.
  const closed = worker.close(!isEmpty).catch(() => undefined);
  if (!(await settleWithin(GRACE_MS, closed)).done) cut();
  // Cutting the connection fails what still waited for an answer, and so lets the worker end.
  await settleWithin(GRACE_MS, closed);
  await settleWithin(GRACE_MS, queue.close());
}
