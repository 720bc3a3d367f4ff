const REPEAT_MS = 30_000;

/** Tells of a fault at once, and every 30 s while it lasts; of the next one at once again, when `over` was said. */
export function createFaultTeller(onError: (error: Error) => void) {
  let toldAt = Number.NEGATIVE_INFINITY;
  return {
    tell(error: Error): void {
      if (performance.now() - toldAt < REPEAT_MS) return;
      toldAt = performance.now();
      onError(error);
    },
    over(): void {
      toldAt = Number.NEGATIVE_INFINITY;
    },
  };
}
