import type { Ledger } from "@grp/ledger";
import type { Failure } from "./failures.ts";
import { type HookReading, KEPT_MS } from "./reading.ts";

const MARK = "deliveries";
/** Longer than GitHub keeps deliveries. */
const MARK_TTL_MS = KEPT_MS + 24 * 3_600_000;

/** What one round leaves for the next, whichever worker makes it. */
export interface RecoveryState {
  readonly hooks: Readonly<Record<string, HookReading>>;
  readonly open: readonly Failure[];
  /** The ingress did not take most of what was last asked for. */
  readonly isDown: boolean;
  /** When anything was last asked for. */
  readonly lastAskedAt: number;
  readonly roundAt: number;
  /** By what could not be seen: rounds in a row. */
  readonly blind: Readonly<Record<string, number>>;
}

const NOTHING_YET: RecoveryState = {
  hooks: {},
  open: [],
  isDown: false,
  lastAskedAt: 0,
  roundAt: 0,
  blind: {},
};

export async function loadState(ledger: Ledger): Promise<RecoveryState> {
  const text = await ledger.getMark(MARK);
  return text === null ? NOTHING_YET : { ...NOTHING_YET, ...(JSON.parse(text) as Partial<RecoveryState>) };
}

/** Of a hook that nobody has tried for so long, GitHub has nothing that we know. */
export async function saveState(ledger: Ledger, state: RecoveryState): Promise<void> {
  const isKept = ([, { triedAt }]: [string, HookReading]) => state.roundAt - triedAt <= KEPT_MS;
  const hooks = Object.fromEntries(Object.entries(state.hooks).filter(isKept));
  await ledger.setMark(MARK, JSON.stringify({ ...state, hooks }), MARK_TTL_MS);
}
