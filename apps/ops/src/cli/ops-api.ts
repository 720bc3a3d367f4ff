import type { Plan } from "@grp/core";
import axios from "axios";
import type { CliConfig } from "../config.ts";
import type { Status } from "../server/status.ts";
import type { IgnoredView, WorkflowJobView } from "../view.ts";
import { CliError, explainHttpFailure, explainStranger, showUrl } from "./failure.ts";

interface WorkflowJobList {
  readonly workflowJobs: readonly WorkflowJobView[];
}

interface DeadList {
  readonly dead: readonly WorkflowJobView[];
  readonly count: number;
}

interface Acted {
  readonly outcome: "done";
}

/** The ops process' API; every failure is a `CliError`. "Not there" is null where that is a normal answer. */
export interface OpsApi {
  status(): Promise<Status>;
  workflowJobs(limit: number): Promise<readonly WorkflowJobView[]>;
  workflowJob(key: string): Promise<WorkflowJobView | IgnoredView | null>;
  plan(key: string): Promise<Plan | null>;
  /** Newest first, behind the newest `skip`. */
  dead(limit: number, skip?: number): Promise<DeadList>;
  /** Undefined when done; else why this one can't be. Throws when nothing answers, or nobody may. */
  act(key: string, verb: "retry" | "dismiss"): Promise<string | undefined>;
}

export function createOpsApi({ opsUrl, credentials }: CliConfig): OpsApi {
  const client = axios.create({
    baseURL: `${opsUrl}/api`,
    timeout: 10_000,
    maxRedirects: 0,
    // Every answer is a value: axios' error for one carries the whole request, the password with it.
    validateStatus: () => true,
    ...(credentials ? { auth: { username: credentials.user, password: credentials.password } } : {}),
  });
  const call = async <T>(method: "GET" | "POST", path: string, mark: Mark<T>): Promise<Answer<T>> => {
    const url = `${opsUrl}/api${path}`;
    const { status, data } = await client.request<unknown>({ method, url: path }).catch((error: unknown) => {
      throw explainHttpFailure(error, url, "OPS_URL");
    });
    if (status === 401)
      throw new CliError(`${showUrl(url)}: 401. Set OPS_USER and OPS_PASSWORD to those of the ops process.`);
    const answer = readAnswer(status, data, mark);
    if (answer) return answer;
    const setting = "OPS_URL the address of its status pages, without /api";
    throw explainStranger(url, status, { app: "ops process", setting });
  };
  const ask = async <T>(path: string, mark: Mark<T>): Promise<T> => take(await call("GET", path, mark));
  const askIfThere = async <T>(path: string, mark: Mark<T>): Promise<T | null> => {
    const answer = await call("GET", path, mark);
    return !answer.isGood && answer.status === 404 ? null : take(answer);
  };
  return {
    status: () => ask<Status>("/status", "queues"),
    workflowJobs: async (limit) =>
      (await ask<WorkflowJobList>(`/workflow-jobs?limit=${limit}`, "workflowJobs")).workflowJobs,
    workflowJob: (key) =>
      askIfThere<WorkflowJobView | IgnoredView>(`/workflow-jobs/${encodeURIComponent(key)}`, "explanation"),
    plan: (key) => askIfThere<Plan>(`/plans/${encodeURIComponent(key)}`, "offerings"),
    dead: (limit, skip = 0) => ask<DeadList>(`/dead?limit=${limit}&skip=${skip}`, "dead"),
    async act(key, verb) {
      const answer = await call<Acted>("POST", `/dead/${encodeURIComponent(key)}/${verb}`, "outcome");
      if (answer.isGood) return undefined;
      if (answer.status === 403) throw new CliError(describeRefusal(answer));
      return answer.why ?? `${key}: ${describeRefusal(answer)}`;
    },
  };
}

/** A field that this answer has and no stranger's: a proxy's login page is a good answer too, as HTTP goes. */
type Mark<T> = keyof T & string;

type Answer<T> = { readonly isGood: true; readonly body: T } | Refusal;

/** `{ error, why? }`, as the ops process gives it. */
interface Refusal {
  readonly isGood: false;
  readonly status: number;
  readonly error: string;
  readonly why: string | undefined;
}

/** The ops process' own words for what is not there (any more). Any other 404 says that it is not there itself. */
const NOT_THERE = ["unknown", "not_dead", "ended"];

/** Undefined when it is not the ops process that speaks. */
function readAnswer<T>(status: number, data: unknown, mark: Mark<T>): Answer<T> | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  if (status < 300) return mark in data ? { isGood: true, body: data as T } : undefined;
  const { error, why } = data as Readonly<Record<string, unknown>>;
  if (typeof error !== "string" || (status === 404 && !NOT_THERE.includes(error))) return undefined;
  return { isGood: false, status, error, why: typeof why === "string" ? why : undefined };
}

function take<T>(answer: Answer<T>): T {
  if (answer.isGood) return answer.body;
  throw new CliError(describeRefusal(answer));
}

function describeRefusal({ status, error, why }: Refusal): string {
  return `${why === undefined ? error : `${error}: ${why}`} (${status})`;
}
