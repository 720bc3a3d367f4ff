let waiting: (() => void)[] = [];

/**
 * Calls back when this turn of the event loop has taken in all that had arrived, all who wait in the order in which they came.
 * So what arrives together goes through each step together: a delivery's way, from HTTP's parser to the queue, is
 * more code than the nearest caches of a core hold, and a step that runs for sixteen deliveries in a row is fetched once.
 * A tenth to a fifth of their CPU time is saved (docs/benchmarks.md), and a lone one waits for nothing.
 */
export function atEndOfTurn(call: () => void): void {
  if (waiting.push(call) === 1) setImmediate(callAll);
}

export function endOfTurn(): Promise<void> {
  return new Promise(atEndOfTurn);
}

function callAll(): void {
  const calls = waiting;
  waiting = [];
  for (const call of calls) call();
}
