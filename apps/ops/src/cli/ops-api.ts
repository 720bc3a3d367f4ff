import type { Plan } from "@grp/core";
import type { WorkflowJobRecord } from "@grp/ledger";
import axios, { isAxiosError } from "axios";
import type { CliConfig } from "../config.ts";
import type { Status } from "../server/status.ts";
import type { WorkflowJobView } from "../view.ts";
import { explainHttpFailure } from "./failure.ts";

/** The ops process' API; every failure is a `CliError`. "Not there" is null where that is a normal answer. */
export interface OpsApi {
  status(): Promise<Status>;
  workflowJobs(limit: number): Promise<readonly WorkflowJobView[]>;
  workflowJob(id: string): Promise<WorkflowJobView | null>;
  plan(key: string): Promise<Plan | null>;
  dead(): Promise<readonly WorkflowJobRecord[]>;
  act(key: string, verb: "retry" | "dismiss"): Promise<void>;
}

export function createOpsApi({ opsUrl, credentials }: CliConfig): OpsApi {
  const client = axios.create({
    baseURL: `${opsUrl}/api`,
    timeout: 10_000,
    maxRedirects: 0,
    ...(credentials ? { auth: { username: credentials.user, password: credentials.password } } : {}),
  });
  const ask = async <T>(path: string, method: "get" | "post" = "get"): Promise<T> => {
    try {
      return (await client.request<T>({ url: path, method })).data;
    } catch (error) {
      throw isNotFound(error) ? error : explainHttpFailure(error, `${opsUrl}/api${path}`, "OPS_URL");
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
    workflowJob: (id) => askIfThere(`/workflow-jobs/${encodeURIComponent(id)}`),
    plan: (key) => askIfThere(`/plans/${encodeURIComponent(key)}`),
    dead: async () => (await ask<{ dead: WorkflowJobRecord[] }>("/dead")).dead,
    async act(key, verb) {
      const path = `/dead/${encodeURIComponent(key)}/${verb}`;
      await ask(path, "post").catch((error: unknown) => {
        throw isNotFound(error) ? explainHttpFailure(error, `${opsUrl}/api${path}`, "OPS_URL") : error;
      });
    },
  };
}

function isNotFound(error: unknown): boolean {
  return isAxiosError(error) && error.response?.status === 404;
}
