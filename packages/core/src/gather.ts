/** What became of one of a batch. */
export type Settled<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: unknown };

interface Waiting<I, O> {
  readonly input: I;
  readonly resolve: (value: O) => void;
  readonly reject: (error: unknown) => void;
}

export interface GatherLimits {
  /** Inputs in one call. */
  readonly most: number;
  /** Calls under way at once; the second and later ones only when they are full. 1 unless told otherwise. */
  readonly calls?: number;
}

/**
 * One call for many: what is asked while a batch is under way goes out together as soon as that one is done. So a lone
 * call waits for nothing, and the busier it is the more share a round trip. `run` says of each input in its order what
 * became of it, so that none fails for another; when `run` itself rejects, all of the batch do.
 */
export function gather<I, O>(
  run: (inputs: readonly I[]) => Promise<readonly Settled<O>[]>,
  { most, calls = 1 }: GatherLimits,
): (input: I) => Promise<O> {
  let waiting: Waiting<I, O>[] = [];
  let underWay = 0;
  let isDue = false;

  async function send(batch: readonly Waiting<I, O>[]): Promise<void> {
    underWay += 1;
    try {
      settle(batch, await run(batch.map(({ input }) => input)));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    underWay -= 1;
    sendWaiting();
  }

  function sendWaiting(): void {
    while (waiting.length >= most ? underWay < calls : waiting.length > 0 && underWay === 0) {
      const batch = waiting.slice(0, most);
      waiting = waiting.slice(most);
      void send(batch);
    }
  }

  return (input) =>
    new Promise((resolve, reject) => {
      waiting.push({ input, resolve, reject });
      if (waiting.length >= most && calls > 1) sendWaiting();
      else if (underWay === 0 && !isDue) {
        isDue = true;
        // After this turn of the event loop, which may bring more of them.
        setImmediate(() => {
          isDue = false;
          sendWaiting();
        });
      }
    });
}

function settle<I, O>(batch: readonly Waiting<I, O>[], outcomes: readonly Settled<O>[]): void {
  for (const [at, { resolve, reject }] of batch.entries()) {
    const outcome = outcomes[at];
    if (outcome?.ok) resolve(outcome.value);
    else reject(outcome ? outcome.error : new Error("the batch says nothing of this one"));
  }
}
