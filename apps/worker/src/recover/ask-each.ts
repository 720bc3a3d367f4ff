import { RateLimitedError } from "@grp/core";
import type { Log } from "../context.ts";

/**
 * All that GitHub gives for each query. One that it refuses is told as `message` and left out, and the others are asked
 * all the same; only its rate limit and a stop of the worker end it.
 */
export async function askEach<Q extends object, T>(
  queries: readonly Q[],
  options: { ask: (query: Q) => Promise<readonly T[]>; log: Log; message: string; signal: AbortSignal },
): Promise<readonly T[]> {
  const found: T[] = [];
  for (const query of queries) {
    try {
      found.push(...(await options.ask(query)));
    } catch (error) {
      if (options.signal.aborted || error instanceof RateLimitedError) throw error;
      options.log.warn(options.message, {
        ...query,
        error: error instanceof Error ? error.message : String(error),
      });
    }
  }
  return found;
}
