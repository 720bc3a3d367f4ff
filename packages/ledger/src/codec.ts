import { type Demand, demandSchema, type Instance, type Scope, scopeKey } from "@grp/core";
import type { Stored } from "./store.ts";
import type { LaunchRecord, Note, RunnerRecord, RunnerStep, StepTimes, WorkflowJobRecord } from "./types.ts";

type Hash = Stored["hash"];

/**
 * An object as hash fields: `prefix.member`, each value JSON, objects inside flattened. Short values keep the hash a
 * listpack (all within 64 bytes), which takes about half the memory of one long JSON text in a hash.
 */
export function flatten(prefix: string, value: object): string[] {
  const fields: string[] = [];
  addFields(fields, prefix, value);
  return fields;
}

/** Into one list: every delivery comes by here. */
function addFields(fields: string[], prefix: string, value: object): void {
  for (const [name, member] of Object.entries(value) as [string, unknown][]) {
    if (member === undefined) continue;
    const isObject = typeof member === "object" && member !== null && !Array.isArray(member);
    if (isObject) addFields(fields, `${prefix}.${name}`, member);
    else fields.push(`${prefix}.${name}`, JSON.stringify(member));
  }
}

function unflatten(prefix: string, hash: Hash): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [field, text] of Object.entries(hash)) {
    const [first, ...path] = field.split(".");
    const last = path.pop();
    if (first !== prefix || last === undefined) continue;
    const value = parse(text);
    if (value === undefined) continue;
    let target = root;
    for (const name of path) {
      target[name] ??= {};
      target = target[name] as Record<string, unknown>;
    }
    target[last] = value;
  }
  return root;
}

/** Undefined for what is no JSON: a field of some other version, left out. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** One runner class in one scope: where demand and supply are counted. */
export function poolOf(runnerClass: string, scope: Scope): string {
  return `${runnerClass}|${scopeKey(scope)}`;
}

/** The demand without what its key says already. */
export function demandFields(demand: Demand): string[] {
  const { key: _key, version: _version, ...rest } = demand;
  return flatten("d", rest);
}

/** Null when the hash holds no demand that this version can read. */
export function decodeWorkflowJob(key: string, { hash, notes }: Stored): WorkflowJobRecord | null {
  const demand = demandSchema.safeParse({ version: 1, key, ...unflatten("d", hash) });
  if (!demand.success) return null;
  return withoutUndefined<WorkflowJobRecord>({
    key,
    demand: demand.data,
    workflowJobState: hash.state as WorkflowJobRecord["workflowJobState"],
    demandState: hash.demand as WorkflowJobRecord["demandState"],
    conclusion: hash.conclusion,
    times: unflatten("t", hash),
    servedBy: hash.servedBy,
    launchIds: hash.launchIds?.split(" ") ?? [],
    waitsFor: hash.waitsFor,
    failure: "f.at" in hash ? (unflatten("f", hash) as WorkflowJobRecord["failure"]) : undefined,
    revivedGeneration: hash.revivedGeneration === undefined ? undefined : Number(hash.revivedGeneration),
    notes: decodeNotes(notes),
  });
}

export function decodeRunner(runnerName: string, { hash, notes }: Stored): RunnerRecord | null {
  if (hash.step === undefined) return null;
  return withoutUndefined<RunnerRecord>({
    runnerName,
    launchId: hash.launchId ?? "",
    provider: hash.provider as RunnerRecord["provider"],
    runnerClass: hash.class ?? "",
    scope: unflatten("s", hash) as unknown as Scope,
    step: hash.step as RunnerStep,
    times: unflatten("t", hash) as StepTimes<RunnerStep>,
    instanceId: hash.instanceId,
    instance: decodeInstance(hash),
    runnerId: hash.runnerId === undefined ? undefined : Number(hash.runnerId),
    workflowJobKey: hash.workflowJobKey,
    placeHolder: hash.placeHolder ?? "",
    comesBackAt: hash.comesBackAt === undefined ? undefined : Number(hash.comesBackAt),
    notes: decodeNotes(notes),
  });
}

function decodeInstance(hash: Hash): Instance | undefined {
  // A CodeMagic build may claim before its start is answered: until then its id is all that is known.
  if (!("i.launchedAt" in hash)) return undefined;
  const { instanceId, launchId } = hash;
  return { instanceId, launchId, ...unflatten("i", hash) } as unknown as Instance;
}

/** `runners` are the launch's own, as stored: they carry the instances. */
export function decodeLaunch(launchId: string, hash: Hash, runners: readonly Stored[]): LaunchRecord {
  return withoutUndefined<LaunchRecord>({
    launchId,
    provider: hash.provider as LaunchRecord["provider"],
    runnerClass: hash.class ?? "",
    scope: unflatten("s", hash) as unknown as Scope,
    offeringIndex: Number(hash.offeringIndex),
    offeringDigest: hash.offeringDigest,
    renewal: Number(hash.renewal),
    size: Number(hash.size),
    placeHolders: JSON.parse(hash.placeHolders ?? "[]"),
    openedAt: Number(hash.openedAt),
    ticketExpiresAt: Number(hash.ticketExpiresAt),
    placement: hash.placement,
    instances:
      hash.state === "launched" ? runners.flatMap((runner) => decodeInstance(runner.hash) ?? []) : undefined,
    state: hash.state as LaunchRecord["state"],
    refusedClaims: hash.refused === undefined ? undefined : Number(hash.refused),
    runnerNames: JSON.parse(hash.runnerNames ?? "[]"),
  });
}

/** Long texts (a provider's message, a log's tail) are cut: the ledger is no log. */
const TEXT_LIMIT = 500;

export function encodeNote(note: Note): string {
  return JSON.stringify({ at: note.at, kind: note.kind, text: shorten(note.text) });
}

export function shorten(text: string): string {
  return text.length <= TEXT_LIMIT ? text : `${text.slice(0, TEXT_LIMIT - 1)}…`;
}

function decodeNotes(notes: readonly string[]): readonly Note[] {
  return notes.map((note) => JSON.parse(note) as Note);
}

function withoutUndefined<T extends object>(value: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}
