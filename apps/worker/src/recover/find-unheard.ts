import { RateLimitedError } from "@grp/core";
import type { WorkerContext } from "../context.ts";
import { type ListRepositories, nameOf, type Repository } from "./repositories.ts";
import { takeIn } from "./take-in.ts";

/** A delivery may be minutes late; a job younger than that may still be heard of. */
const GRACE_MS = 120_000;

/** With more, the rest has its turn in the next round: a bound on the calls. */
const MOST_REPOSITORIES = 50;
const MOST_RUNS = 150;

const MARK = "unheard";
const MARK_TTL_MS = 7 * 24 * 3_600_000;
/** Named in the log line; the ledger knows them all. */
const MOST_NAMED = 20;

interface Round {
  repositories: number;
  runs: number;
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
 * Cost in REST calls: two a repository and one for each open run, of which a round takes no more than 50 and 150; the
 * rest has its turn in the next one. So 12 an hour for each repository, and at the very most 1,500 in all, with a round
 * every ten minutes; besides, a page an hour and owner for the list of repositories.
 */
export async function findUnheard(
  context: WorkerContext,
  listRepositories: ListRepositories,
  signal: AbortSignal,
): Promise<void> {
  const round: Round = { repositories: 0, runs: 0, found: 0, errors: 0, keys: [] };
  try {
    for (const repository of await chooseRepositories(context, listRepositories, signal)) {
      if (signal.aborted || round.runs >= MOST_RUNS) break;
      await searchRepository(context, round, repository, signal);
      await context.ledger.setMark(MARK, nameOf(repository), MARK_TTL_MS);
    }
  } catch (error) {
    if (!(error instanceof RateLimitedError)) throw error;
    round.pauseMs = error.retryAfterMs;
  }
  tell(context, round);
}

/** From where the last round ended, in turn. */
async function chooseRepositories(
  context: WorkerContext,
  list: ListRepositories,
  signal: AbortSignal,
): Promise<readonly Repository[]> {
  const all = await list(signal);
  const last = (await context.ledger.getMark(MARK)) ?? "";
  const begin = all.findIndex((repository) => nameOf(repository) > last);
  const inTurn = begin < 0 ? all : [...all.slice(begin), ...all.slice(0, begin)];
  return inTurn.slice(0, MOST_REPOSITORIES);
}

async function searchRepository(
  context: WorkerContext,
  round: Round,
  repository: Repository,
  signal: AbortSignal,
): Promise<void> {
  try {
    const mostRuns = MOST_RUNS - round.runs;
    const { jobs, runs } = await context.github.listQueuedWorkflowJobs({ ...repository, mostRuns }, signal);
    round.repositories += 1;
    round.runs += runs;
    const due = jobs.filter((job) => context.now() - job.createdAt > GRACE_MS);
    for (const job of due)
      await takeIn(context, repository, job).then(
        (key) => count(round, key),
        (error: unknown) => countError(round, repository, error),
      );
  } catch (error) {
    if (error instanceof RateLimitedError) throw error;
    countError(round, repository, error);
  }
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
