import type { Plan } from "@grp/core";
import axios, { isAxiosError } from "axios";
import type { CliConfig } from "../config.ts";
import type { Status } from "../server/status.ts";
import type { IgnoredView, WorkflowJobView } from "../view.ts";
import { explainHttpFailure } from "./failure.ts";

/** The ops process' API; every failure is a `CliError`. "Not there" is null where that is a normal answer. */
export interface OpsApi {
  status(): Promise<Status>;
  workflowJobs(limit: number): Promise<readonly WorkflowJobView[]>;
  workflowJob(key: string): Promise<WorkflowJobView | IgnoredView | null>;
  plan(key: string): Promise<Plan | null>;
  dead(limit: number): Promise<{ readonly dead: readonly WorkflowJobView[]; readonly count: number }>;
  /** Undefined when done; else why this one can't be. Throws when nothing answers, or nobody may. */
  act(key: string, verb: "retry" | "dismiss"): Promise<string | undefined>;
}

export function createOpsApi({ opsUrl, credentials }: CliConfig): OpsApi {
  const client = axios.create({
    baseURL: `${opsUrl}/api`,
    timeout: 10_000,
    maxRedirects: 0,
    ...(credentials ? { auth: { username: credentials.user, password: credentials.password } } : {}),
  });
  const explain = (error: unknown, path: string) =>
    explainHttpFailure(error, `${opsUrl}/api${path}`, "OPS_URL");
  const ask = async <T>(path: string): Promise<T> => {
    try {
      return (await client.get<T>(path)).data;
    } catch (error) {
      throw isNotFound(error) ? error : explain(error, path);
    }
  };
  const askIfThere = <T>(path: string) =>
    ask<T>(path).catch((error: unknown) => {
      if (isNotFound(error)) return null;
      throw error;
    });
  return {
    status: () => ask("/status"),
    workflowJobs: async (limit) =>
      (await ask<{ workflowJobs: WorkflowJobView[] }>(`/workflow-jobs?limit=${limit}`)).workflowJobs,
    workflowJob: (key) => askIfThere(`/workflow-jobs/${encodeURIComponent(key)}`),
    plan: (key) => askIfThere(`/plans/${encodeURIComponent(key)}`),
    dead: (limit) => ask(`/dead?limit=${limit}`),
    async act(key, verb) {
      const path = `/dead/${encodeURIComponent(key)}/${verb}`;
      try {
        await client.post(path);
        return undefined;
      } catch (error) {
        return tellRefusal(key, error) ?? Promise.reject(explain(error, path));
      }
    },
  };
}

function isNotFound(error: unknown): boolean {
  return isAxiosError(error) && error.response?.status === 404;
}

/** Why this one can't be; undefined when none can: nothing answers, or one may not. */
function tellRefusal(key: string, error: unknown): string | undefined {
  const answer = isAxiosError<{ why?: string; error?: string }>(error) ? error.response : undefined;
  if (!answer || answer.status === 401 || answer.status === 403) return undefined;
  return answer.data?.why ?? `${key}: ${answer.data?.error ?? "refused"} (${answer.status})`;
}
