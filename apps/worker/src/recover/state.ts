import type { Ledger } from "@grp/ledger";
import type { Failure } from "./failures.ts";
import { type HookReading, KEPT_MS } from "./reading.ts";

const MARK = "deliveries";
/** By itself, for it is read before each save, and the state may be megabytes. */
const REVISION_MARK = "deliveries-revision";
/** Longer than GitHub keeps deliveries. */
const MARK_TTL_MS = KEPT_MS + 24 * 3_600_000;

/** What one round leaves for the next, whichever worker makes it. */
export interface RecoveryState {
  /** Times it was saved. */
  readonly revision: number;
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
  revision: 0,
  hooks: {},
  open: [],
  isDown: false,
  lastAskedAt: 0,
  roundAt: 0,
  blind: {},
};

export async function loadState(ledger: Ledger): Promise<RecoveryState> {
  const revision = await readRevision(ledger);
  const text = await ledger.getMark(MARK);
  const stored = text === null ? {} : (JSON.parse(text) as Partial<RecoveryState>);
  return { ...NOTHING_YET, ...stored, revision };
}

/**
 * The state as it is to be saved the next time. Rejects when another worker has saved one meanwhile: this one was frozen,
 * and knows less. Of a hook that nobody has tried for so long, GitHub has nothing that we know.
 */
export async function saveState(ledger: Ledger, state: RecoveryState): Promise<RecoveryState> {
  if ((await readRevision(ledger)) !== state.revision)
    throw new Error("another worker has made a round of its own meanwhile: this one ends");
  const isKept = ([, { triedAt }]: [string, HookReading]) => state.roundAt - triedAt <= KEPT_MS;
  const hooks = Object.fromEntries(Object.entries(state.hooks).filter(isKept));
  const saved = { ...state, revision: state.revision + 1, hooks };
  await ledger.setMark(MARK, JSON.stringify(saved), MARK_TTL_MS);
  await ledger.setMark(REVISION_MARK, String(saved.revision), MARK_TTL_MS);
  return saved;
}

async function readRevision(ledger: Ledger): Promise<number> {
  return Number((await ledger.getMark(REVISION_MARK)) ?? 0);
}
