import { type Scope, scopeKey } from "@grp/core";
import type { GitHub, GitHubRunner, GitHubWorkflowJob } from "@grp/github";

export interface FakeGitHub extends GitHub {
  /** Puts a runner there, or changes it. */
  setRunner(scope: Scope, runner: Partial<GitHubRunner> & { name: string }): void;
  setWorkflowJob(job: Partial<GitHubWorkflowJob> & { id: number }): void;
  names(scope: Scope): readonly string[];
  /** Thrown by the next calls of that method until cleared with undefined. */
  fail(method: keyof GitHub, error: Error | undefined): void;
  readonly calls: readonly string[];
}

/** GitHub in memory: runners by scope, workflow jobs by id. */
export function createFakeGitHub(): FakeGitHub {
  const scopes = new Map<string, Map<string, GitHubRunner>>();
  const jobs = new Map<number, GitHubWorkflowJob>();
  const failures = new Map<keyof GitHub, Error>();
  const calls: string[] = [];
  let lastId = 0;
  const runnersOf = (scope: Scope) => {
    const key = scopeKey(scope);
    if (!scopes.has(key)) scopes.set(key, new Map());
    return scopes.get(key) as Map<string, GitHubRunner>;
  };
  const call = async <T>(method: keyof GitHub, work: () => T): Promise<T> => {
    calls.push(method);
    const failure = failures.get(method);
    if (failure) throw failure;
    return work();
  };
  const setRunner: FakeGitHub["setRunner"] = (scope, runner) => {
    const known = runnersOf(scope).get(runner.name);
    lastId += 1;
    const fresh = { runnerId: lastId, status: "online" as const, busy: false, labels: [] };
    runnersOf(scope).set(runner.name, { ...fresh, ...known, ...runner });
  };
  return {
    calls,
    setRunner,
    names: (scope) => [...runnersOf(scope).keys()],
    setWorkflowJob(job) {
      const fresh = { runId: 1, runAttempt: 1, status: "queued", conclusion: null, labels: [] };
      jobs.set(job.id, { ...fresh, runnerName: null, createdAt: 0, ...job });
    },
    fail(method, error) {
      if (error) failures.set(method, error);
      else failures.delete(method);
    },
    mintRegistration: ({ scope, name, labels }) =>
      call("mintRegistration", () => {
        setRunner(scope, { name, labels, status: "offline" });
        return { runnerId: lastId, encodedJitConfig: "" };
      }),
    findRunner: (scope, name) => call("findRunner", () => runnersOf(scope).get(name) ?? null),
    listRunners: (scope) => call("listRunners", () => [...runnersOf(scope).values()]),
    deregister: (scope, runnerId) =>
      call("deregister", () => {
        const found = [...runnersOf(scope).values()].find((runner) => runner.runnerId === runnerId);
        if (!found) return "gone";
        if (found.busy) return "busy";
        runnersOf(scope).delete(found.name);
        return "deregistered";
      }),
    runnerProgram: () => call("runnerProgram", () => ({ url: "", sha256: "", filename: "", version: "" })),
    runnerVersions: () => call("runnerVersions", () => ({ newest: "2.337.0", least: "2.329.0" })),
    checkRegistration: () => call("checkRegistration", () => []),
    getWorkflowJob: ({ workflowJobId }) => call("getWorkflowJob", () => jobs.get(workflowJobId) ?? null),
    listQueuedWorkflowJobs: () =>
      call("listQueuedWorkflowJobs", () => {
        const queued = [...jobs.values()].filter((job) => job.status === "queued");
        return { jobs: queued, calls: 2 + queued.length };
      }),
    appIds: [],
    findHooks: () => call("findHooks", () => []),
    listFailedDeliveries: () => call("listFailedDeliveries", () => ({ failed: [] })),
    redeliver: () => call("redeliver", () => undefined),
    listRepositories: () => call("listRepositories", () => ({ repositories: [], missed: [] })),
  };
}
