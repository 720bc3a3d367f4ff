import type { Warning, WorkflowJobRecord } from "@grp/ledger";
import type { Schedule } from "@grp/queue";
import type { WorkerContext } from "../context.ts";
import { formatAlert, type News } from "./format-alert.ts";
import { postAlert } from "./post-alert.ts";

/** Pause after a message: doubled while dead letters keep coming, so that a long outage is a few messages. */
const [FIRST_PAUSE_MS, LONGEST_PAUSE_MS] = [300_000, 3_600_000];

/** Two workers' clocks may be that far apart. */
const OVERLAP_MS = 120_000;

/** Looked at in one round; beyond, the number itself tells nothing more. */
const MOST_DEAD = 1_000;

const MARK = "alerts";
const MARK_TTL_MS = 8 * 24 * 3_600_000;

/** When news of one kind may be told again. */
interface Pause {
  readonly quietUntil: number;
  readonly pauseMs: number;
  /** After a message that failed: it lengthens no pause. */
  readonly retryAt?: number;
}

/** What was told so far. A warning keeps no dead letter waiting, nor the reverse. */
interface AlertState extends Pause {
  /** Time of the newest failure told, and the ids of those about that time. */
  readonly toldUntil: number;
  readonly told: readonly string[];
  /** Of warnings: those that go on and were told. */
  readonly warnings?: Pause & { readonly told: readonly string[] };
}

const NO_PAUSE: Pause = { quietUntil: 0, pauseMs: FIRST_PAUSE_MS };
const NOTHING_YET: AlertState = { toldUntil: 0, told: [], ...NO_PAUSE };

export interface AlertSettings {
  /** Slack-compatible: `{ "text": … }` is posted there. A secret: it is never logged. */
  readonly url: string;
  /** From a dead letter or a warning to the first message, at most; the first of a burst are gathered by it. */
  readonly everyMs: number;
}

/**
 * One message to `url` for all new dead letters and warnings, across all workers: soon, then nothing for 5 minutes, doubled up
 * to an hour while they keep coming, each kind by itself. Read from the ledger, so that it holds up no work and forgets none that
 * happened while the worker or the receiver was down; a message that fails is tried again a minute later.
 */
export function alertSchedule(context: WorkerContext, { url, everyMs }: AlertSettings): Schedule {
  return { name: "alert", everyMs, run: (signal) => alertOfNews(context, url, signal) };
}

export async function alertOfNews(context: WorkerContext, url: string, signal: AbortSignal): Promise<void> {
  const { log, now, installation } = context;
  const state = await loadState(context);
  const at = now();
  const all = await readNews(context, at);
  const fresh = chooseFresh(state, all, at);
  if (fresh.dead.length + fresh.warnings.length === 0) return;
  const text = formatAlert(fresh, { installation, isCut: all.dead.length === MOST_DEAD });
  const outcome = await postAlert(url, { text }, signal);
  await saveState(context, (outcome.isTaken ? afterTelling : afterFailing)(state, { all, fresh, at }));
  log[outcome.isTaken ? "info" : "warn"]("alert.sent", {
    deadLetters: fresh.dead.length,
    warnings: fresh.warnings.length,
    ...outcome,
  });
}

async function readNews({ ledger }: WorkerContext, at: number): Promise<News> {
  const [dead, warnings] = await Promise.all([ledger.listDead(MOST_DEAD), ledger.listWarnings(at)]);
  return { dead, warnings };
}

/** None of a kind while it is quiet about it. */
function chooseFresh(state: AlertState, { dead, warnings }: News, at: number): News {
  const before = state.warnings ?? { ...NO_PAUSE, told: [] };
  return {
    dead: isQuiet(state, at) ? [] : dead.filter((record) => isNew(record, state)),
    warnings: isQuiet(before, at) ? [] : warnings.filter((one) => !before.told.includes(idOfWarning(one))),
  };
}

function isQuiet({ quietUntil, retryAt = 0 }: Pause, at: number): boolean {
  return at < Math.max(quietUntil, retryAt);
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

interface Telling {
  readonly all: News;
  readonly fresh: News;
  readonly at: number;
}

function afterTelling(state: AlertState, { all: { dead, warnings }, fresh, at }: Telling): AlertState {
  const toldUntil = Math.max(state.toldUntil, ...dead.map(({ failure }) => failure?.at ?? 0));
  const recent = dead.filter(({ failure }) => (failure?.at ?? 0) > toldUntil - OVERLAP_MS);
  return {
    ...state,
    ...(fresh.dead.length > 0 && { toldUntil, told: recent.map(idOf), ...lengthen(state, at) }),
    ...(fresh.warnings.length > 0 && {
      warnings: { told: warnings.map(idOfWarning), ...lengthen(state.warnings ?? NO_PAUSE, at) },
    }),
  };
}

/** A minute later it is tried again. */
function afterFailing(state: AlertState, { fresh, at }: Telling): AlertState {
  const retryAt = at + 60_000;
  return {
    ...state,
    ...(fresh.dead.length > 0 && { retryAt }),
    ...(fresh.warnings.length > 0 && { warnings: { told: [], ...NO_PAUSE, ...state.warnings, retryAt } }),
  };
}

function lengthen({ quietUntil, pauseMs: before }: Pause, at: number): Pause {
  const isOngoing = quietUntil > 0 && at - quietUntil < before;
  const pauseMs = isOngoing ? Math.min(2 * before, LONGEST_PAUSE_MS) : FIRST_PAUSE_MS;
  return { quietUntil: at + pauseMs, pauseMs };
}

async function loadState({ ledger }: WorkerContext): Promise<AlertState> {
  const text = await ledger.getMark(MARK);
  return text === null ? NOTHING_YET : (JSON.parse(text) as AlertState);
}

async function saveState({ ledger }: WorkerContext, state: AlertState): Promise<void> {
  await ledger.setMark(MARK, JSON.stringify(state), MARK_TTL_MS);
}
