import { type Demand, type Instance, scopeKey } from "@grp/core";
import type { GitHubRunner } from "@grp/github";
import type { Note, RunnerRecord, RunnerStep, WorkflowJobRecord } from "@grp/ledger";
import type { RegisteredScope, World } from "../sweep/world.ts";
import { CATALOG, makeDemand, SCOPE } from "./harness.ts";

const NOW = 1_800_000_000_000;
export const GRACE_MS = 120_000;
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
/** A name that `runnerName("grp", …)` could give. */
export const NAME = "grp-0123456789abcdef01234567-0";

/** A world in which all is well and nothing is there. */
export function makeWorld(overrides: Partial<World> = {}): World {
  return {
    now: NOW,
    graceMs: GRACE_MS,
    installation: "grp",
    catalog: CATALOG,
    runners: [],
    demands: [],
    counts: [],
    instances: new Map([["ec2", []]]),
    unasked: new Map(),
    strays: [],
    registered: new Map(),
    ghosts: new Map(),
    workflowJobs: new Map(),
    unended: [],
    holders: [],
    caps: [],
    ...overrides,
  };
}

/** A runner that reached its step so long ago, and nothing before it later than that. */
export function makeRunner(
  step: RunnerStep,
  agoMs: number,
  overrides: Partial<RunnerRecord> = {},
): RunnerRecord {
  const steps: readonly RunnerStep[] = [
    "launching",
    "launched",
    "booted",
    "claimed",
    "online",
    "busy",
    "finished",
  ];
  const reached = steps.slice(0, steps.indexOf(step) + 1);
  return {
    runnerName: NAME,
    launchId: "l-0123456789abcdef01234567",
    provider: "ec2",
    runnerClass: "linux",
    scope: SCOPE,
    step,
    times: Object.fromEntries(reached.map((one) => [one, NOW - agoMs])),
    ...(step === "launching" ? {} : { instanceId: "i-1" }),
    placeHolder: "wfj-1",
    notes: [],
    ...overrides,
  };
}

export function makeOpen(
  agoMs: number,
  overrides: {
    id?: number;
    notes?: readonly Note[];
    generation?: number;
    isUnderWay?: boolean;
    isEnqueued?: boolean;
    demand?: Partial<Demand>;
    revivedGeneration?: number;
  } = {},
): World["demands"][number] {
  const { id = 1, notes = [], generation = 1, isUnderWay = false, isEnqueued = true } = overrides;
  const demand = makeDemand({
    workflowJobId: id,
    queuedAt: NOW - agoMs,
    receivedAt: NOW - agoMs,
    generation,
    ...overrides.demand,
  });
  const record: WorkflowJobRecord = {
    key: demand.key,
    demand,
    workflowJobState: "queued",
    demandState: "waiting",
    times: { received: NOW - agoMs, ...(isEnqueued ? { enqueued: NOW - agoMs } : {}) },
    launchIds: [],
    ...(overrides.revivedGeneration === undefined ? {} : { revivedGeneration: overrides.revivedGeneration }),
    notes,
  };
  return { record, isUnderWay };
}

export function makeNote(kind: string, agoMs = HOUR): Note {
  return { at: NOW - agoMs, kind, text: "" };
}

export function makeInstance(agoMs: number, overrides: Partial<Instance> = {}): Instance {
  const base = { instanceId: "i-1", provider: "ec2" as const, launchId: "l-1", state: "running" as const };
  return { ...base, launchedAt: NOW - agoMs, ...overrides };
}

/** GitHub's runners of the usual scope. */
export function register(...runners: Partial<GitHubRunner>[]): ReadonlyMap<string, RegisteredScope> {
  const base = { runnerId: 7, name: NAME, status: "online" as const, busy: false, labels: [] };
  const full = runners.map((runner) => ({ ...base, ...runner }));
  return new Map([[scopeKey(SCOPE), { scope: SCOPE, runners: full }]]);
}

export function makeCount(demand: number, supply: number): World["counts"][number] {
  return { runnerClass: "linux", scope: scopeKey(SCOPE), demand, supply };
}
