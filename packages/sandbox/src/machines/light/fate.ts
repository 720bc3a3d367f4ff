import { createRandom } from "../../random.ts";

/**
 * What goes wrong with a machine. `dies-in-boot`: off before it claims. `never-claims`: stays on and says nothing.
 * `dies-after-claim`: off with its registration in hand. `never-online`: its runner program can't connect, and its guard
 * ends it. `hangs`: online, then silent, idle or in mid-job, and on until somebody ends it.
 */
export type MachineFault = "dies-in-boot" | "never-claims" | "dies-after-claim" | "never-online" | "hangs";

/**
 * What a machine does that is not broken. `loses-answer`: the answer to its first good claim never reaches it, so it claims
 * again. `tries-another`: it first shows the ticket of another EC2 machine. `asks-again`: it claims while its job runs, as
 * whoever reads its user data could.
 */
export type MachineQuirk = "loses-answer" | "tries-another" | "asks-again";

export interface Fate {
  readonly bootMs: number;
  readonly fault: MachineFault | undefined;
  readonly quirk: MachineQuirk | undefined;
  /** For whatever else the machine has to choose: pauses, where exactly it breaks. */
  readonly random: () => number;
}

export interface FateOptions {
  readonly seed?: number;
  /** How long a machine takes until its script runs; drawn anew for each when a function. */
  readonly bootMs?: number | ((random: () => number) => number);
  /** Chance of each, between 0 and 1; their sum no more than 1. */
  readonly faults?: Readonly<Partial<Record<MachineFault, number>>>;
  /** The same of these. */
  readonly quirks?: Readonly<Partial<Record<MachineQuirk, number>>>;
}

/** The same seed gives the first, second, third … machine the same fate. */
export function createFates(options: FateOptions): () => Fate {
  const draw = createRandom(options.seed ?? 1);
  const { bootMs = 0, faults = {}, quirks = {} } = options;
  return () => {
    const random = createRandom(draw() * 4_294_967_296);
    return {
      random,
      bootMs: typeof bootMs === "number" ? bootMs : bootMs(random),
      fault: drawOne(faults, random()),
      quirk: drawOne(quirks, random()),
    };
  };
}

function drawOne<T extends string>(chances: Readonly<Partial<Record<T, number>>>, at: number): T | undefined {
  let sum = 0;
  for (const [one, chance] of Object.entries<number | undefined>(chances)) {
    sum += chance ?? 0;
    if (at < sum) return one as T;
  }
  return undefined;
}
