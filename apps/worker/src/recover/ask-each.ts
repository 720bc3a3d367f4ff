import type { Log } from "../context.ts";

/**
 * All that GitHub gives for each query. What it refuses is told in one line, `message`, and left out; the others are
 * asked all the same, and a rate limit costs the others that it holds for no call. Only a stop of the worker ends it.
 */
export async function askEach<Q extends object, T>(
  queries: readonly Q[],
  options: { ask: (query: Q) => Promise<readonly T[]>; log: Log; message: string; signal: AbortSignal },
): Promise<readonly T[]> {
  const found: T[] = [];
  const refused: { readonly query: Q; readonly error: string }[] = [];
  for (const query of queries) {
    try {
      found.push(...(await options.ask(query)));
    } catch (error) {
      if (options.signal.aborted) throw error;
      refused.push({ query, error: error instanceof Error ? error.message : String(error) });
    }
  }
  const [first] = refused;
  if (first)
    options.log.warn(options.message, { ...first.query, error: first.error, refused: refused.length });
  return found;
}
