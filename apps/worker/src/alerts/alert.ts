import type { Warning, WorkflowJobRecord } from "@grp/ledger";
import type { Schedule } from "@grp/queue";
import type { WorkerContext } from "../context.ts";
import { formatAlert, type News } from "./format-alert.ts";
import { postAlert } from "./post-alert.ts";

/** From a dead letter or a warning to the first message, at most; the first of a burst are gathered by it. */
const EVERY_MS = 15_000;

/** Pause after a message: doubled while dead letters keep coming, so that a long outage is a few messages. */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [300_000, 3_600_000];

/** Two workers' clocks may be that far apart. */
const OVERLAP_MS = 120_000;

/** Looked at in one round; beyond, the number itself tells nothing more. */
const MOST_DEAD = 1_000;

const MARK = "alerts";
const MARK_TTL_MS = 8 * 24 * 3_600_000;

/** What the last message told of. */
interface AlertState {
  /** Time of the newest failure told, and the ids of those about that time. */
  readonly toldUntil: number;
  readonly told: readonly string[];
  /** Warnings that go on and were told. */
  readonly toldWarnings?: readonly string[];
  readonly quietUntil: number;
  readonly pauseMs: number;
}

const NOTHING_YET: AlertState = { toldUntil: 0, told: [], quietUntil: 0, pauseMs: FIRST_PAUSE_MS };

export interface AlertSettings {
  /** Slack-compatible: `{ "text": … }` is posted there. A secret: it is never logged. */
  readonly url: string;
  readonly everyMs?: number;
}

/**
 * One message to `url` for all new dead letters and warnings, across all workers: within 15 s, then nothing for 5 minutes, doubled
 * up to an hour while they keep coming. Read from the ledger, so that it holds up no work and forgets none that
 * happened while the worker or the receiver was down; a message that fails is tried again a minute later.
 */
export function alertSchedule(context: WorkerContext, { url, everyMs = EVERY_MS }: AlertSettings): Schedule {
  return { name: "alert", everyMs, run: (signal) => alertOfNews(context, url, signal) };
}

export async function alertOfNews(context: WorkerContext, url: string, signal: AbortSignal): Promise<void> {
  const { ledger, log, now, installation } = context;
  const state = await loadState(context);
  const at = now();
  if (at < state.quietUntil) return;
  const [dead, warnings] = await Promise.all([ledger.listDead(MOST_DEAD), ledger.listWarnings(at)]);
  const fresh: News = {
    dead: dead.filter((record) => isNew(record, state)),
    warnings: warnings.filter((warning) => !state.toldWarnings?.includes(idOfWarning(warning))),
  };
  if (fresh.dead.length + fresh.warnings.length === 0) return;
  const text = formatAlert(fresh, { installation, isCut: dead.length === MOST_DEAD });
  const outcome = await postAlert(url, { text }, signal);
  if (outcome.isTaken) await saveState(context, afterTelling(state, { dead, warnings }, at));
  else await saveState(context, { ...state, quietUntil: at + 60_000 });
  log[outcome.isTaken ? "info" : "warn"]("alert.sent", {
    deadLetters: fresh.dead.length,
    warnings: fresh.warnings.length,
    ...outcome,
  });
}

function isNew(record: WorkflowJobRecord, { toldUntil, told }: AlertState): boolean {
  const at = record.failure?.at ?? 0;
  return at > toldUntil - OVERLAP_MS && !told.includes(idOf(record));
}

/** A dead letter that was retried and failed again is another. */
function idOf({ key, failure }: WorkflowJobRecord): string {
  return `${key}@${failure?.at ?? 0}`;
}

/** One that ended and came back is another. */
function idOfWarning({ kind, text, since }: Warning): string {
  return `${kind}|${text}@${since}`;
}

function afterTelling(state: AlertState, { dead, warnings }: News, at: number): AlertState {
  const toldUntil = Math.max(state.toldUntil, ...dead.map(({ failure }) => failure?.at ?? 0));
  const recent = dead.filter(({ failure }) => (failure?.at ?? 0) > toldUntil - OVERLAP_MS);
  const isOngoing = state.quietUntil > 0 && at - state.quietUntil < state.pauseMs;
  const pauseMs = isOngoing ? Math.min(2 * state.pauseMs, LONGEST_PAUSE_MS) : FIRST_PAUSE_MS;
  const told = { told: recent.map(idOf), toldWarnings: warnings.map(idOfWarning) };
  return { toldUntil, ...told, quietUntil: at + pauseMs, pauseMs };
}

async function loadState({ ledger }: WorkerContext): Promise<AlertState> {
  const text = await ledger.getMark(MARK);
  return text === null ? NOTHING_YET : (JSON.parse(text) as AlertState);
}

async function saveState({ ledger }: WorkerContext, state: AlertState): Promise<void> {
  await ledger.setMark(MARK, JSON.stringify(state), MARK_TTL_MS);
}
