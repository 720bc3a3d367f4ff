import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

interface Payload {
  readonly action: string;
  readonly workflow_job: Readonly<Record<string, unknown>>;
  readonly repository: Readonly<Record<string, unknown>> & { readonly owner: object };
}

export interface Example {
  /** Where GitHub published it: `api.github.com#5`. */
  readonly name: string;
  readonly payload: Payload;
}

const folder = path.dirname(path.dirname(fileURLToPath(import.meta.resolve("@octokit/webhooks-examples"))));
const SOURCES = ["api.github.com", "ghes-31", "ghes-32", "ghes-33", "ghes-34", "ghes-35"];

function read(source: string, event: string): Example[] {
  const file = readFileSync(path.join(folder, source, "index.json"), "utf8");
  const events = JSON.parse(file) as { name: string; examples: Payload[] }[];
  const found = events.find(({ name }) => name === event)?.examples ?? [];
  return found.map((payload, index) => ({ name: `${source}#${index}`, payload }));
}

/** Every `workflow_job` example that GitHub's community has published, of github.com and of each server version. */
export const WORKFLOW_JOB_EXAMPLES = SOURCES.flatMap((source) => read(source, "workflow_job"));

export const PING_EXAMPLE = read("api.github.com", "ping")[0]?.payload as Payload;
export const PUSH_EXAMPLE = read("api.github.com", "push")[0]?.payload as Payload;

let lastId = 40_000_000_000;

/** GitHub's own example of a queued job, as one of the private repository `acme/app` with a new id. */
export function workflowJob(
  action: string,
  changes: { job?: object; repository?: object; owner?: object } = {},
): Payload & { readonly workflow_job: { readonly id: number } } {
  const template = WORKFLOW_JOB_EXAMPLES.find(({ payload }) => payload.action === "queued")
    ?.payload as Payload;
  lastId += 1;
  const { job, repository, owner } = changes;
  return {
    ...template,
    action,
    workflow_job: {
      ...template.workflow_job,
      id: lastId,
      status: action,
      labels: ["ubuntu-arm64"],
      runner_id: null,
      runner_name: null,
      ...job,
    } as { id: number },
    repository: {
      ...template.repository,
      name: "app",
      private: true,
      ...repository,
      owner: { ...template.repository.owner, login: "acme", ...owner },
    },
  };
}
