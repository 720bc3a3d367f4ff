import type { Turn } from "@grp/core";
import type { Client, Clients } from "./clients.ts";
import { hasStatus, toGitHubError } from "./errors.ts";
import { costOf } from "./limits.ts";
import type { GitHub, GitHubWorkflowJob } from "./types.ts";

/** The most GitHub gives in one page. */
const PAGE = 100;

/** Runs whose jobs are asked for at the same time; GitHub allows 100 requests at once for everything we do. */
const RUNS_AT_ONCE = 5;
/** A run that is in progress may hold jobs that still wait. */
const OPEN_RUNS = ["queued", "in_progress"] as const;

interface Repository {
  readonly owner: string;
  readonly repository: string;
}

/** Those ahead in line want to register. */
function behindRegistrations(turn: Turn | undefined): Turn | undefined {
  return turn && { ...turn, each: costOf("POST") };
}

export function createWorkflowJobs(
  clients: Clients,
): Pick<GitHub, "getWorkflowJob" | "listQueuedWorkflowJobs"> {
  return {
    getWorkflowJob: (job, signal) =>
      clients.use({ ...job, turn: behindRegistrations(job.turn) }, signal, async (client) => {
        try {
          const { data } = await client.request("GET /repos/{owner}/{repo}/actions/jobs/{job_id}", {
            owner: job.owner,
            repo: job.repository,
            job_id: job.workflowJobId,
          });
          return toWorkflowJob(data);
        } catch (cause) {
          const error = toGitHubError(cause);
          if (hasStatus(error, 404)) return null;
          throw error;
        }
      }),
    listQueuedWorkflowJobs: ({ mostCalls = Number.POSITIVE_INFINITY, ...repository }, signal) =>
      clients.use(repository, signal, async (client) => {
        const counted = { calls: 0 };
        const open = await listOpenRuns(client, repository, counted);
        const most = Math.max(mostCalls - counted.calls, 1);
        const runs = open.length > most ? chooseSome(open, most) : open;
        const jobs: GitHubWorkflowJob[] = [];
        for (let from = 0; from < runs.length; from += RUNS_AT_ONCE) {
          const some = runs.slice(from, from + RUNS_AT_ONCE);
          const found = await Promise.all(
            some.map((run) => listJobs(client, { ...repository, run }, counted)),
          );
          jobs.push(...found.flat().filter((job) => job.status === "queued"));
        }
        return { jobs, calls: counted.calls };
      }),
  };
}

interface Counted {
  calls: number;
}

/** All pages, each counted. */
async function collect<T>(
  pages: AsyncIterable<{ readonly data: readonly T[] }>,
  counted: Counted,
): Promise<T[]> {
  const all: T[] = [];
  for await (const { data } of pages) {
    counted.calls += 1;
    all.push(...data);
  }
  return all;
}

/** Queued ones first, as all their jobs wait; else by chance, so that each has its turn when asked again and again. */
function chooseSome(runs: readonly Run[], count: number): readonly Run[] {
  const inTurn = runs.map((run) => ({ run, rank: (run.isQueued ? 0 : 1) + Math.random() }));
  return inTurn
    .sort((one, other) => one.rank - other.rank)
    .slice(0, count)
    .map(({ run }) => run);
}

// GitHub has no list of queued jobs: they are found through their runs, of which it lists a thousand for each status.
async function listOpenRuns(
  client: Client,
  repository: Repository,
  counted: Counted,
): Promise<readonly Run[]> {
  const open = new Map<number, Run>();
  for (const status of OPEN_RUNS) {
    const pages = client.paginate.iterator("GET /repos/{owner}/{repo}/actions/runs", {
      owner: repository.owner,
      repo: repository.repository,
      status,
      per_page: PAGE,
    });
    const runs = await collect(pages, counted);
    for (const { id, repository: of } of runs)
      open.set(Number(id), { id: Number(id), isPrivate: of?.private, isQueued: status === "queued" });
  }
  return [...open.values()];
}

interface Run {
  readonly id: number;
  readonly isPrivate: boolean | undefined;
  readonly isQueued: boolean;
}

async function listJobs(
  client: Client,
  { owner, repository, run }: Repository & { readonly run: Run },
  counted: Counted,
): Promise<GitHubWorkflowJob[]> {
  const pages = client.paginate.iterator("GET /repos/{owner}/{repo}/actions/runs/{run_id}/jobs", {
    owner,
    repo: repository,
    run_id: run.id,
    filter: "latest",
    per_page: PAGE,
  });
  const jobs = await collect(pages, counted);
  const { isPrivate } = run;
  return jobs.map((job) => ({ ...toWorkflowJob(job), ...(isPrivate === undefined ? {} : { isPrivate }) }));
}

interface RawJob {
  readonly id: number | bigint;
  readonly run_id: number | bigint;
  readonly run_attempt?: number | undefined;
  readonly status: string;
  readonly conclusion: string | null;
  readonly labels: readonly string[];
  readonly runner_name: string | null;
  readonly created_at: string;
}

function toWorkflowJob(raw: RawJob): GitHubWorkflowJob {
  return {
    id: Number(raw.id),
    runId: Number(raw.run_id),
    runAttempt: raw.run_attempt ?? 1,
    status: raw.status,
    conclusion: raw.conclusion,
    labels: raw.labels,
    runnerName: raw.runner_name || null,
    createdAt: Date.parse(raw.created_at),
  };
}
