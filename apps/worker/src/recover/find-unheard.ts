import { RateLimitedError } from "@grp/core";
import type { WorkerContext } from "../context.ts";
import { MANY, warnOfLostWork } from "./blindness.ts";
import { type ListRepositories, nameOf, type Repository } from "./repositories.ts";
import { takeIn } from "./take-in.ts";

/** A delivery may be minutes late; a job younger than that may still be heard of. */
const GRACE_MS = 120_000;

/** Where they are used up, the rest has its turn in the next round. A repository that is idle takes two. */
const MOST_CALLS = 250;

const MARK = "unheard";
const BLIND_MARK = "unheard-blind";
const MARK_TTL_MS = 7 * 24 * 3_600_000;
/** Named in the log line; the ledger knows them all. */
const MOST_NAMED = 20;

interface Round {
  repositories: number;
  calls: number;
  found: number;
  errors: number;
  lastError?: string;
  pauseMs?: number;
  readonly keys: string[];
}

/**
 * One round: looks through the queued and running runs of the repositories we serve for workflow jobs of which nothing
 * was ever heard, and takes them in as the ingress would have.
 *
 * Cost in REST calls: two a repository (more only with hundreds of open runs: one for each hundred queued and each
 * hundred running) and one for each open run. A round begins no repository after 250 calls and looks into no more runs
 * then, so with a round every ten minutes it is 12 an hour for each repository and in all some 1,500 at the most, and
 * twenty more a round where the last one has thousands of runs; besides, a page an hour and owner for the list of them.
 */
export async function findUnheard(
  context: WorkerContext,
  listRepositories: ListRepositories,
  signal: AbortSignal,
): Promise<void> {
  const round: Round = { repositories: 0, calls: 0, found: 0, errors: 0, keys: [] };
  const limited = new Set<string>();
  for (const repository of await listInTurn(context, listRepositories, signal)) {
    if (signal.aborted || round.calls >= MOST_CALLS) break;
    // GitHub counts for each account's installation by itself: the others go on.
    const account = repository.owner.toLowerCase();
    if (limited.has(account)) continue;
    const retryAfterMs = await searchRepository(context, round, repository, signal);
    if (retryAfterMs === undefined) await context.ledger.setMark(MARK, nameOf(repository), MARK_TTL_MS);
    else {
      limited.add(account);
      round.pauseMs = Math.max(round.pauseMs ?? 0, retryAfterMs);
    }
  }
  tell(context, round);
  if (!signal.aborted) await warnIfBlind(context, round);
}

/** From where the last round ended, in turn. */
async function listInTurn(
  context: WorkerContext,
  list: ListRepositories,
  signal: AbortSignal,
): Promise<readonly Repository[]> {
  const all = await list(signal);
  const last = (await context.ledger.getMark(MARK)) ?? "";
  const begin = all.findIndex((repository) => nameOf(repository) > last);
  return begin < 0 ? all : [...all.slice(begin), ...all.slice(0, begin)];
}

/** Resolves with the pause that GitHub wants, if it does. */
async function searchRepository(
  context: WorkerContext,
  round: Round,
  repository: Repository,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    const mostCalls = MOST_CALLS - round.calls;
    const { jobs, calls } = await context.github.listQueuedWorkflowJobs({ ...repository, mostCalls }, signal);
    round.repositories += 1;
    round.calls += calls;
    const due = jobs.filter((job) => context.now() - job.createdAt > GRACE_MS);
    for (const job of due)
      await takeIn(context, repository, job).then(
        (key) => count(round, key),
        (error: unknown) => countError(round, repository, error),
      );
  } catch (error) {
    if (error instanceof RateLimitedError) return error.retryAfterMs;
    // How many calls it took, nobody knows: as many as an idle one.
    round.calls += 2;
    countError(round, repository, error);
  }
  return undefined;
}

/** Not one repository could be looked through, round after round. */
async function warnIfBlind(context: WorkerContext, round: Round): Promise<void> {
  const { ledger, now } = context;
  const text = await ledger.getMark(BLIND_MARK);
  const before = text === null ? undefined : (JSON.parse(text) as { rounds: number; at: number });
  const isBlind = round.repositories === 0 && (round.errors > 0 || round.pauseMs !== undefined);
  if (!isBlind && !before?.rounds) return;
  const rounds = isBlind ? (before?.rounds ?? 0) + 1 : 0;
  await ledger.setMark(BLIND_MARK, JSON.stringify({ rounds, at: now() }), MARK_TTL_MS);
  if (rounds < MANY) return;
  const warning =
    "GitHub's queued runs can't be looked through, round after round, so a job of which no delivery came stays unheard of; see workflow-jobs.unheard in the worker's log";
  await warnOfLostWork(context, [warning], now() - (before?.at ?? now()));
}

function countError(round: Round, repository: Repository, error: unknown): void {
  round.errors += 1;
  round.lastError = `${nameOf(repository)}: ${error instanceof Error ? error.message : error}`;
}

function count(round: Round, key: string | null): void {
  if (key === null) return;
  round.found += 1;
  if (round.keys.length < MOST_NAMED) round.keys.push(key);
}

function tell({ metrics, log }: WorkerContext, round: Round): void {
  metrics.recovered({ how: "unheard", count: round.found });
  metrics.swept({ rule: "find-unheard", outcome: round.errors > 0 ? "error" : "done" });
  const isBad = round.errors > 0 || round.pauseMs !== undefined;
  if (round.found === 0 && !isBad) return;
  log[isBad ? "warn" : "info"]("workflow-jobs.unheard", { ...round });
}
