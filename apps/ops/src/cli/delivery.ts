import { createHmac, randomUUID } from "node:crypto";
import examples from "@octokit/webhooks-examples" with { type: "json" };
import axios from "axios";
import { z } from "zod";
import { readText } from "./catalog.ts";
import { CliError, explainHttpFailure, explainStranger } from "./failure.ts";

export const ACTIONS = ["queued", "in_progress", "completed", "waiting"] as const;
export type Action = (typeof ACTIONS)[number];

export interface Delivery {
  readonly event: string;
  readonly deliveryId: string;
  readonly payload: object;
}

const payloadSchema = z.object({
  workflow_job: z.object({
    id: z.number().int(),
    run_id: z.number().int(),
    labels: z.array(z.string()),
  }),
  repository: z.object({
    name: z.string(),
    owner: z.object({ login: z.string() }),
    private: z.boolean(),
  }),
});

export interface PayloadFacts {
  readonly workflowJobId: number;
  readonly owner: string;
  readonly repository: string;
  readonly isPrivate: boolean;
  readonly labels: readonly string[];
}

/** A recorded delivery's payload; form bodies (`payload=…`) are read too. */
export async function readPayload(file: string): Promise<object> {
  const text = await readText(file);
  const body = text.startsWith("payload=") ? (new URLSearchParams(text).get("payload") ?? "") : text;
  try {
    const payload: unknown = JSON.parse(body);
    if (typeof payload === "object" && payload !== null) return payload;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new CliError(`${file} is not JSON: ${error.message}`);
  }
  throw new CliError(`${file} holds no object`);
}

/** What the match needs of a `workflow_job` payload. */
export function readFacts(payload: object): PayloadFacts {
  const parsed = payloadSchema.safeParse(payload);
  if (!parsed.success) {
    const where = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
    throw new CliError(`not a workflow_job payload:\n  ${where.join("\n  ")}`);
  }
  const { workflow_job: workflowJob, repository } = parsed.data;
  return {
    workflowJobId: workflowJob.id,
    owner: repository.owner.login,
    repository: repository.name,
    isPrivate: repository.private,
    labels: workflowJob.labels,
  };
}

export interface MadeFrom {
  readonly action: Action;
  readonly labels: readonly string[];
  /** `owner/name`, of a private repository. */
  readonly repository: string;
  readonly workflowJobId: number;
  readonly at: number;
}

/** A payload as GitHub would send it, made from its own published example of the action. */
export function makePayload({ action, labels, repository, workflowJobId, at }: MadeFrom): object {
  const [owner, name] = repository.split("/");
  if (!owner || !name) throw new CliError(`"${repository}" is not a repository as "owner/name"`, 2);
  const example = findExample(action);
  const time = new Date(at).toISOString();
  return {
    ...example,
    action,
    workflow_job: {
      ...example.workflow_job,
      id: workflowJobId,
      run_id: workflowJobId,
      run_attempt: 1,
      labels,
      created_at: time,
      started_at: time,
      ...(action === "queued" ? { status: "queued", runner_id: null, runner_name: null } : {}),
    },
    repository: {
      ...example.repository,
      name,
      full_name: repository,
      private: true,
      owner: { ...example.repository.owner, login: owner },
    },
  };
}

function findExample(action: Action): Example {
  const found = published
    .find((event) => event.name === "workflow_job")
    ?.examples.find((example) => example.action === action);
  if (!found) throw new CliError(`no published example of a workflow_job "${action}"`);
  return found;
}

// The package's types describe a module with named exports; it is a JSON array.
const published = examples as unknown as readonly { name: string; examples: readonly Example[] }[];

interface Example {
  readonly action: string;
  readonly workflow_job: object;
  readonly repository: { readonly owner: object };
}

/** An id that GitHub will not have given to a real job of ours: newer than all of them. */
export function makeWorkflowJobId(at: number): number {
  return at * 1_000 + Math.floor(Math.random() * 1_000);
}

export interface SendOptions {
  readonly url: string;
  readonly secret: string;
  readonly asForm: boolean;
  readonly isDryRun: boolean;
}

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Signs and sends it as GitHub does. Any answer of the ingress is an answer; none, or a stranger's, is an error. */
export async function sendDelivery(delivery: Delivery, options: SendOptions): Promise<Answer> {
  const json = JSON.stringify(delivery.payload);
  const body = options.asForm ? new URLSearchParams({ payload: json }).toString() : json;
  const url = new URL(options.url);
  // HOST=https://grp.example.com is enough.
  if (url.pathname === "/") url.pathname = "/webhook";
  if (options.isDryRun) url.searchParams.set("dry-run", "true");
  const { status, data } = await post(url, body, {
    "Content-Type": options.asForm ? "application/x-www-form-urlencoded" : "application/json",
    "User-Agent": "GitHub-Hookshot/grp",
    "X-GitHub-Event": delivery.event,
    "X-GitHub-Delivery": delivery.deliveryId,
    "X-Hub-Signature-256": `sha256=${createHmac("sha256", options.secret).update(body).digest("hex")}`,
  });
  if (isAnswer(status, data)) return { status, body: data };
  throw explainStranger(url.href, status, { app: "ingress", setting: `${SETTING} its address` });
}

const SETTING = "--to (or WEBHOOK_URL)";

async function post(url: URL, body: string, headers: Readonly<Record<string, string>>) {
  try {
    return await axios.post<unknown>(url.href, body, {
      headers,
      // GitHub's own patience.
      timeout: 10_000,
      maxRedirects: 0,
      validateStatus: () => true,
    });
  } catch (error) {
    throw explainHttpFailure(error, url.href, SETTING);
  }
}

/** What the ingress takes it gives an outcome; a refusal may come without. */
function isAnswer(status: number, data: unknown): data is Answer["body"] {
  return typeof data === "object" && data !== null && (status >= 300 || "outcome" in data);
}

export const makeDeliveryId = (): string => randomUUID();
