import type { GitHubAuth } from "./auth.ts";
import { createClients } from "./clients.ts";
import { createDeliveries } from "./deliveries.ts";
import { createDownloads } from "./downloads.ts";
import { createGate, type Fetch, type GateOptions } from "./gate.ts";
import type { AppRefusal } from "./refusals.ts";
import { createRepositories } from "./repositories.ts";
import { createRunners } from "./runners.ts";
import type { GitHub } from "./types.ts";
import { createWorkflowJobs } from "./workflow-jobs.ts";

export interface GitHubOptions extends Pick<GateOptions, "budget" | "limits" | "background" | "holdMs"> {
  readonly auth: GitHubAuth;
  /** `https://api.github.com`, or `https://<host>/api/v3` of a GitHub Enterprise Server. */
  readonly baseUrl: string;
  readonly fetch?: Fetch;
  readonly now?: () => number;
  /** Told when GitHub refuses one of several Apps; the others go on without it for a while. */
  readonly onRefused?: (refusal: AppRefusal) => void;
}

/** One client, one memory: rate-limit pause, installations, runner groups and the runner program are shared by all calls. */
export function createGitHub(options: GitHubOptions): GitHub {
  const now = options.now ?? Date.now;
  const gate = createGate({ ...options, fetch: options.fetch ?? globalThis.fetch, now });
  const { auth, baseUrl, onRefused } = options;
  const clients = createClients(auth, { baseUrl, gate, now, onRefused });
  return {
    ...createRunners(clients, now),
    ...createDownloads(clients, { baseUrl, now }),
    ...createWorkflowJobs(clients),
    ...createDeliveries(clients),
    ...createRepositories(clients),
  };
}
