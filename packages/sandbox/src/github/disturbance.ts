import { createRandom } from "../random.ts";

/** How deliveries are spoilt on their way; chances between 0 and 1. */
export interface Disturbance {
  readonly drop?: number;
  readonly duplicate?: number;
  /** Each delivery waits a random time up to this; later ones overtake it. */
  readonly delayUpToMs?: number;
  readonly seed?: number;
}

export interface Fate {
  readonly isDropped: boolean;
  readonly isDuplicated: boolean;
  readonly delayMs: number;
}

/** The same seed spoils the same deliveries in the same way. */
export function createFates(disturbance: Disturbance): () => Fate {
  const random = createRandom(disturbance.seed ?? 1);
  return () => ({
    isDropped: random() < (disturbance.drop ?? 0),
    isDuplicated: random() < (disturbance.duplicate ?? 0),
    delayMs: Math.round(random() * (disturbance.delayUpToMs ?? 0)),
  });
}
