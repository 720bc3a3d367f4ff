/** What became of one of a batch. */
export type Settled<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: unknown };

interface Waiting<I, O> {
  readonly input: I;
  readonly resolve: (value: O) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One call for many: what is asked while a batch is under way goes out together as soon as that one is done. So a lone
 * call waits for nothing, and the busier it is the more share a round trip. `run` says of each input in its order what
 * became of it, so that none fails for another; when `run` itself rejects, all of the batch do.
 */
export function gather<I, O>(
  run: (inputs: readonly I[]) => Promise<readonly Settled<O>[]>,
  { most }: { readonly most: number },
): (input: I) => Promise<O> {
  let waiting: Waiting<I, O>[] = [];
  let isUnderWay = false;

  async function runWaiting(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, most);
      waiting = waiting.slice(most);
      try {
        settle(batch, await run(batch.map(({ input }) => input)));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    isUnderWay = false;
  }

  return (input) =>
    new Promise((resolve, reject) => {
      waiting.push({ input, resolve, reject });
      if (isUnderWay) return;
      isUnderWay = true;
      // After this turn of the event loop, which may bring more of them.
      setImmediate(runWaiting);
    });
}

function settle<I, O>(batch: readonly Waiting<I, O>[], outcomes: readonly Settled<O>[]): void {
  for (const [at, { resolve, reject }] of batch.entries()) {
    const outcome = outcomes[at];
    if (outcome?.ok) resolve(outcome.value);
    else reject(outcome ? outcome.error : new Error("the batch says nothing of this one"));
  }
}
