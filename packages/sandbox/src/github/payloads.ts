import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { HookPlace, StandInWorkflowJob } from "./types.ts";
import type { Transition } from "./world.ts";

type Json = { [key: string]: unknown };
type Example = Json & {
  action?: string;
  workflow_job?: Json;
  repository: Json;
  installation?: Json;
  organization?: Json;
  hook?: Json;
};

const file = fileURLToPath(import.meta.resolve("@octokit/webhooks-examples"));
const examples = JSON.parse(readFileSync(file, "utf8")) as { name: string; examples: Example[] }[];

function exampleOf(event: string, fits: (example: Example) => boolean): Example {
  const found = examples.find(({ name }) => name === event)?.examples.find(fits);
  if (!found) throw new Error(`No published example of ${event}`);
  return found;
}

/** Published examples, one for each transition. */
const templates = {
  queued: exampleOf(
    "workflow_job",
    ({ action, workflow_job }) => action === "queued" && workflow_job?.status === "queued",
  ),
  in_progress: exampleOf("workflow_job", ({ action }) => action === "in_progress"),
  completed: exampleOf("workflow_job", ({ action }) => action === "completed"),
};
const ping = exampleOf("ping", (example) => "repository" in example);
const organization = exampleOf("workflow_job", (example) => "organization" in example).organization as Json;

/** The example with every name and address of its repository replaced. */
function renamed(example: Example, owner: string, repository: string): Example {
  const { full_name: fullName } = example.repository as { full_name: string };
  const text = JSON.stringify(example).replaceAll(fullName, `${owner}/${repository}`);
  const copy = JSON.parse(text) as Example;
  copy.repository.name = repository;
  copy.repository.owner = { ...(copy.repository.owner as Json), login: owner };
  return copy;
}

export function pingPayload(hookId: number, url: string): object {
  const copy = structuredClone(ping) as Example & { hook: Json };
  copy.hook_id = hookId;
  copy.hook.id = hookId;
  copy.hook.config = { ...(copy.hook.config as Json), url };
  return copy;
}

/** One `workflow_job` event as GitHub sends it. Only App hooks carry `installation`. */
export function workflowJobPayload(
  job: StandInWorkflowJob,
  transition: Transition,
  place: HookPlace,
): object {
  const payload = renamed(templates[transition], job.owner, job.repository);
  payload.action = transition;
  payload.repository.private = job.isPrivate;
  payload.repository.visibility = job.isPrivate ? "private" : "public";
  payload.workflow_job = { ...payload.workflow_job, ...jobFields(job, transition) };
  delete payload.deployment;
  delete payload.installation;
  payload.organization = { ...organization, login: job.owner };
  if (place.kind === "app")
    payload.installation = { id: 1, node_id: "MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9uMQ==" };
  return payload;
}

function jobFields(job: StandInWorkflowJob, transition: Transition): Json {
  const hasRunner = transition !== "queued" && job.runnerId !== undefined;
  const api = `https://api.github.com/repos/${job.owner}/${job.repository}`;
  return {
    id: job.id,
    run_id: job.runId,
    run_url: `${api}/actions/runs/${job.runId}`,
    run_attempt: job.runAttempt,
    url: `${api}/actions/jobs/${job.id}`,
    html_url: `https://github.com/${job.owner}/${job.repository}/actions/runs/${job.runId}/job/${job.id}`,
    name: job.name,
    workflow_name: job.workflowName,
    labels: job.labels,
    status: transition,
    conclusion: transition === "completed" ? job.conclusion : null,
    created_at: isoTime(job.queuedAt),
    started_at: isoTime(job.startedAt ?? job.queuedAt),
    completed_at: transition === "completed" ? isoTime(job.completedAt) : null,
    runner_id: hasRunner ? job.runnerId : null,
    runner_name: hasRunner ? job.runnerName : null,
    runner_group_id: hasRunner ? 1 : null,
    runner_group_name: hasRunner ? "Default" : null,
    ...(hasRunner ? {} : { steps: [] }),
  };
}

export function isoTime(at: number | undefined): string | null {
  return at === undefined ? null : new Date(at).toISOString().replace(/\.\d+/, "");
}

/** A repository as REST shows it, from the same published example. */
export function repositoryAnswer(owner: string, repository: string, isPrivate: boolean): object {
  const answer = renamed(templates.queued, owner, repository).repository;
  const times = { created_at: "2026-01-01T00:00:00Z", pushed_at: "2026-01-01T00:00:00Z" };
  return { ...answer, ...times, private: isPrivate, visibility: isPrivate ? "private" : "public" };
}
