import { EventEmitter, once } from "node:events";
import type { Scope } from "@grp/core";
import type { StandInRunner, StandInWorkflowJob } from "./types.ts";

export interface QueueOrder {
  readonly owner: string;
  readonly repository: string;
  readonly labels: readonly string[];
  readonly durationMs?: number;
  readonly name?: string;
  readonly workflowName?: string;
  readonly isPrivate?: boolean;
  readonly ending?: "success" | "failure";
}

export type Transition = "queued" | "in_progress" | "completed";

/** GitHub's own truth about jobs and runners. Jobs are given to runners by labels alone, never by who asked for whom. */
export interface World {
  readonly jobs: ReadonlyMap<number, StandInWorkflowJob>;
  /** Every registration ever minted; those still on GitHub's list have no `gone`. */
  readonly runners: ReadonlyMap<number, StandInRunner>;
  queue(order: QueueOrder): StandInWorkflowJob;
  /** Null when the name is taken in that scope. */
  register(order: {
    scope: Scope;
    name: string;
    labels: readonly string[];
    groupId: number;
  }): StandInRunner | null;
  listRunners(scope: Scope): readonly StandInRunner[];
  remove(runner: StandInRunner): void;
  /** The runner connected, or its connection broke. */
  setOnline(runner: StandInRunner, isOnline: boolean): void;
  finish(job: StandInWorkflowJob, conclusion: "success" | "failure" | "cancelled"): void;
  nextId(): number;
  /** Resolves when `isTrue` holds, looked at after every change; rejects after `timeoutMs`. */
  until(isTrue: () => boolean, what: string, timeoutMs?: number): Promise<void>;
  /** Looked at after every change, until what it gives is called. Cheaper than `until` for the many who wait long. */
  watch(look: () => void): () => void;
  touch(): void;
}

/** The scope as GitHub holds it: a runner group does not set names apart. */
const place = (scope: Scope) =>
  (scope.kind === "repository" ? `${scope.owner}/${scope.repository}` : scope.owner).toLowerCase();

export function createWorld(options: {
  now: () => number;
  onTransition: (job: StandInWorkflowJob, transition: Transition) => void;
}): World {
  const { now } = options;
  const jobs = new Map<number, StandInWorkflowJob>();
  const runners = new Map<number, StandInRunner>();
  const changes = createChanges();
  const { touch } = changes;
  const line = createLine();
  // As long as GitHub's, and new in every world: what a persistent Redis remembers of another one stays apart.
  let lastId = 30_000_000_000 + (now() % 10_000_000_000);
  const alive = () => [...runners.values()].filter((runner) => runner.gone === undefined);

  /** Gives queued jobs, oldest first, to idle online runners. */
  function assign(): void {
    for (const [job, runner] of line.takePairs()) {
      runner.busy = true;
      runner.workflowJobId = job.id;
      Object.assign(job, {
        status: "in_progress",
        startedAt: now(),
        runnerId: runner.id,
        runnerName: runner.name,
      });
      options.onTransition(job, "in_progress");
    }
    touch();
  }

  return {
    jobs,
    runners,
    nextId: () => ++lastId,
    queue(order) {
      const job: StandInWorkflowJob = {
        id: ++lastId,
        runId: ++lastId,
        runAttempt: 1,
        owner: order.owner,
        repository: order.repository,
        isPrivate: order.isPrivate ?? true,
        name: order.name ?? "build",
        workflowName: order.workflowName ?? "CI",
        labels: order.labels,
        durationMs: order.durationMs ?? 100,
        ending: order.ending ?? "success",
        queuedAt: now(),
        status: "queued",
        conclusion: null,
      };
      jobs.set(job.id, job);
      line.jobs.add(job);
      options.onTransition(job, "queued");
      assign();
      return job;
    },
    register(order) {
      const isTaken = alive().some(
        (one) => one.name === order.name && place(one.scope) === place(order.scope),
      );
      if (isTaken) return null;
      const runner: StandInRunner = {
        ...order,
        id: ++lastId,
        mintedAt: now(),
        status: "offline",
        busy: false,
      };
      runners.set(runner.id, runner);
      touch();
      return runner;
    },
    listRunners: (scope) => alive().filter((runner) => place(runner.scope) === place(scope)),
    remove(runner) {
      Object.assign(runner, { gone: "deleted", goneAt: now(), status: "offline" });
      line.runners.delete(runner);
      touch();
    },
    setOnline(runner, isOnline) {
      runner.status = isOnline ? "online" : "offline";
      if (isOnline) runner.onlineAt ??= now();
      if (isIdle(runner)) line.runners.add(runner);
      else line.runners.delete(runner);
      assign();
    },
    finish(job, conclusion) {
      if (job.status === "completed") return;
      line.jobs.delete(job);
      Object.assign(job, { status: "completed", conclusion, completedAt: now() });
      const runner = runners.get(job.runnerId ?? 0);
      // Single use: the service takes it off the list by itself.
      if (runner) Object.assign(runner, { busy: false, gone: "job-done", goneAt: now(), status: "offline" });
      options.onTransition(job, "completed");
      touch();
    },
    ...changes,
  };
}

/** Queued jobs and idle runners, kept apart so that a burst of thousands is not searched again at every change. */
function createLine() {
  const jobs = new Set<StandInWorkflowJob>();
  const runners = new Set<StandInRunner>();
  return {
    jobs,
    runners,
    takePairs(): [StandInWorkflowJob, StandInRunner][] {
      const pairs: [StandInWorkflowJob, StandInRunner][] = [];
      for (const job of jobs) {
        if (runners.size === 0) break;
        const runner = [...runners].find((candidate) => canRun(candidate, job));
        if (!runner) continue;
        jobs.delete(job);
        runners.delete(runner);
        pairs.push([job, runner]);
      }
      return pairs;
    },
  };
}

function isIdle(runner: StandInRunner): boolean {
  return runner.status === "online" && !runner.busy && runner.workflowJobId === undefined;
}

/** A runner must hold every label of the job (without case) and belong to its repository or organization. */
function canRun(runner: StandInRunner, job: StandInWorkflowJob): boolean {
  const held = new Set(runner.labels.map((label) => label.toLowerCase()));
  const home = place(runner.scope);
  const isHome = home === `${job.owner}/${job.repository}`.toLowerCase() || home === job.owner.toLowerCase();
  return isHome && job.labels.every((label) => held.has(label.toLowerCase()));
}

/** Who waits for something looks again after every change. */
function createChanges(): Pick<World, "touch" | "until" | "watch"> {
  const emitter = new EventEmitter();
  emitter.setMaxListeners(0);
  const watchers = new Set<() => void>();
  return {
    touch() {
      for (const look of watchers) look();
      emitter.emit("change");
    },
    watch(look) {
      watchers.add(look);
      return () => void watchers.delete(look);
    },
    async until(isTrue, what, timeoutMs = 10_000) {
      const signal = AbortSignal.timeout(timeoutMs);
      while (!isTrue()) {
        try {
          await once(emitter, "change", { signal });
        } catch {
          throw new Error(`GitHub stand-in: ${what} did not happen in ${timeoutMs} ms`);
        }
      }
    },
  };
}
