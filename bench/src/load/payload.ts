import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Same width as the ids that GitHub gives now, so that any of ours can be written over any other. */
export const FIRST_WORKFLOW_JOB_ID = 30_000_000_000;

interface Example {
  readonly action?: string;
  readonly workflow_job?: { readonly id: number; readonly status: string };
  readonly organization?: object;
  readonly repository: { readonly full_name: string; name: string; owner: { login: string } };
}

const file = fileURLToPath(import.meta.resolve("@octokit/webhooks-examples"));
const examples = JSON.parse(readFileSync(file, "utf8")) as { name: string; examples: Example[] }[];

/** The owner and labels that the benches' catalog serves. */
const [OWNER, LABELS] = ["acme", ["self-hosted", "linux", "ubuntu-arm64"]];

/**
 * GitHub's own largest example of a queued job, as an App gets it from an organization (about 11 KB), asking for the
 * labels; its job id stands wherever the real one would.
 */
export function queuedPayload(owner: string, labels: readonly string[]): string {
  const { id, example } = findExample();
  const text = JSON.stringify({
    ...example,
    organization: examples.flatMap((event) => event.examples).find((one) => one.organization)?.organization,
    installation: { id: 1, node_id: "MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9uMQ==" },
    workflow_job: { ...example.workflow_job, labels, status: "queued", created_at: new Date().toISOString() },
    repository: { ...example.repository, private: true },
  });
  const payload = JSON.parse(
    text
      .replaceAll(example.repository.full_name, `${owner}/app`)
      .replaceAll(String(id), String(FIRST_WORKFLOW_JOB_ID)),
  ) as Example;
  payload.repository.name = "app";
  payload.repository.owner.login = owner;
  return JSON.stringify(payload);
}

/** What every row sends unless it says otherwise: a job queued just now, for of one that is heard of late GitHub is asked. */
export const makePayload = (): string => queuedPayload(OWNER, LABELS);

function findExample(): { id: number; example: Example } {
  const queued = examples
    .find(({ name }) => name === "workflow_job")
    ?.examples.filter(({ action }) => action === "queued")
    .toSorted((a, b) => JSON.stringify(b).length - JSON.stringify(a).length);
  const example = queued?.[0];
  if (!example?.workflow_job) throw new Error("no published example of a queued workflow_job");
  return { id: example.workflow_job.id, example };
}
