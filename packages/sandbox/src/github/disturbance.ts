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

/** mulberry32: small, seeded, even enough for tests. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
