import { demandJobId, type Instance, type ProviderName, parseScopeKey, scopeKey } from "@grp/core";
import type { GitHubRunner, GitHubWorkflowJob } from "@grp/github";
import type { RunnerRecord, WorkflowJobRecord } from "@grp/ledger";
import type { WorkerContext } from "../context.ts";
import type { ChooseToCheck } from "./choose-to-check.ts";
import { readVersions } from "./read-versions.ts";
import { findShortfalls } from "./rules/missing.ts";
import { mustAsk } from "./rules/stray.ts";
import {
  type Holder,
  isOurName,
  type OpenDemand,
  type RegisteredScope,
  type Stray,
  type World,
} from "./world.ts";

/** A request each, in turn: some seconds of a sweep when many machines were lost at once. */
const MOST_ASKED = 20;

export interface GatherOptions {
  readonly graceMs: number;
  readonly signal: AbortSignal;
  /** Workflow jobs whose scopes are asked although no runner of ours is known there, and whose end may be unheard. */
  readonly recent: readonly WorkflowJobRecord[];
  /** Which open demands GitHub is asked about this time: each costs a request. */
  readonly chooseToCheck: ChooseToCheck;
  readonly chooseUnended: ChooseToCheck;
  /** Something could not be asked; rules that need it are blind this time. */
  onBlind(what: string, error: unknown): void;
}

/** Asks the outside first and the ledger after it (see `World`). Only the ledger's own failure is thrown. */
export async function gatherWorld(context: WorkerContext, options: GatherOptions): Promise<World> {
  const { ledger } = context;
  const known = await ledger.listLiveRunners();
  const instances = await listInstances(context, options);
  const registered = await listRegistered(context, options, known);
  const versions = await readVersions(context, options, registered);
  const holders = await listHolders(context);
  const open = await ledger.listOpenDemands();
  const unended = options.chooseUnended(findUnended(context, options, known));
  const asked = [...options.chooseToCheck(open), ...unended];
  const workflowJobs = await askWorkflowJobs(context, options, asked);
  const demands = await inChunks(open, (record) => judgeUnderWay(context, record));
  // Last, so that whatever was seen above has its runner here.
  const [runners, counts, caps] = await Promise.all([
    ledger.listLiveRunners(),
    ledger.countByClass(),
    ledger.listCaps(),
  ]);
  const { installation, catalog } = context;
  const world: World = {
    ...(versions ? { versions } : {}),
    now: context.now(),
    graceMs: options.graceMs,
    installation,
    catalog,
    runners,
    demands,
    counts,
    instances,
    strays: await findStrays(context, instances, [...known, ...runners]),
    registered,
    workflowJobs,
    unended,
    holders,
    caps,
  };
  const strays = await askBeforeEnding(context, options, world);
  return { ...world, strays, workflowJobs: await askBeforeLaunching(context, options, world) };
}

async function listInstances(
  context: WorkerContext,
  { signal, onBlind }: GatherOptions,
): Promise<World["instances"]> {
  const listed = new Map<ProviderName, readonly Instance[]>();
  for (const [name, provider] of context.providers)
    await provider.list(signal).then(
      (instances) => listed.set(name, instances),
      (error: unknown) => onBlind(`provider ${name}`, error),
    );
  return listed;
}

/** Only scopes where a runner may be: one request each, and more where there are more than a hundred runners. */
async function listRegistered(
  context: WorkerContext,
  { signal, onBlind, recent }: GatherOptions,
  runners: readonly RunnerRecord[],
): Promise<World["registered"]> {
  const used = runners.filter(({ times }) => times.claimed !== undefined).map(({ scope }) => scope);
  const more = recent.map(({ demand }) => demand.scope);
  const scopes = new Map([...used, ...more].map((scope) => [scopeKey(scope), scope]));
  const found = new Map<string, RegisteredScope>();
  for (const [key, scope] of scopes)
    await context.github.listRunners(scope, signal).then(
      (registered) => found.set(key, { scope, runners: registered }),
      (error: unknown) => onBlind(`GitHub ${key}`, error),
    );
  return found;
}

/** They run, as far as we heard, on runners of ours that are gone: their `completed` may be lost. */
function findUnended(
  context: WorkerContext,
  { recent }: GatherOptions,
  live: readonly RunnerRecord[],
): readonly WorkflowJobRecord[] {
  const names = new Set(live.map(({ runnerName }) => runnerName));
  return recent.filter(
    ({ workflowJobState, servedBy }) =>
      workflowJobState === "in_progress" &&
      servedBy !== undefined &&
      isOurName(context, servedBy) &&
      !names.has(servedBy),
  );
}

async function askWorkflowJobs(
  context: WorkerContext,
  { signal, onBlind }: GatherOptions,
  asked: readonly WorkflowJobRecord[],
): Promise<World["workflowJobs"]> {
  const answers = new Map<string, GitHubWorkflowJob | null>();
  for (const { key, demand } of asked)
    await context.github.getWorkflowJob(demand, signal).then(
      (job) => answers.set(key, job),
      (error: unknown) => onBlind(`GitHub workflow job ${demand.workflowJobId}`, error),
    );
  return answers;
}

/**
 * A workflow job's start may have gone unheard while its machine's end was told: before another machine is paid for,
 * GitHub says which of those that could have begun still wait. Of a class's, not only as many as are missing.
 */
async function askBeforeLaunching(
  context: WorkerContext,
  { signal, onBlind }: GatherOptions,
  world: World,
): Promise<World["workflowJobs"]> {
  const answers = new Map(world.workflowJobs);
  const doubtful = findShortfalls(world).flatMap(({ forgotten }) => forgotten);
  const unasked = doubtful.filter(({ record }) => !answers.has(record.key));
  for (const { record } of unasked.slice(0, MOST_ASKED)) {
    try {
      answers.set(record.key, await context.github.getWorkflowJob(record.demand, signal));
    } catch (error) {
      onBlind(`GitHub workflow job ${record.demand.workflowJobId}`, error);
      break;
    }
  }
  return answers;
}

/** A request for each scope that was not asked yet: the runner of a machine that the ledger lost may be busy. */
async function askBeforeEnding(
  context: WorkerContext,
  { signal, onBlind }: GatherOptions,
  world: World,
): Promise<World["strays"]> {
  const keys = new Set(
    world.strays.filter((one) => mustAsk(world, one)).map(({ instance }) => instance.scope ?? ""),
  );
  const answers = new Map<string, readonly GitHubRunner[]>();
  for (const key of keys) {
    const scope = parseScopeKey(key);
    const known = world.registered.get(key)?.runners;
    if (known) answers.set(key, known);
    else if (scope)
      await context.github.listRunners(scope, signal).then(
        (runners) => answers.set(key, runners),
        (error: unknown) => onBlind(`GitHub ${key}`, error),
      );
  }
  return world.strays.map((one) => {
    const registered = answers.get(one.instance.scope ?? "");
    return registered ? { ...one, registered } : one;
  });
}

async function judgeUnderWay(context: WorkerContext, record: WorkflowJobRecord): Promise<OpenDemand> {
  const { key, generation, runnerClass } = record.demand;
  const offerings = context.catalog.classes.find((one) => one.name === runnerClass)?.offerings;
  // Of a class that left the catalog, any queue may have it.
  const providers = offerings
    ? new Set(offerings.map((offering) => offering.provider))
    : context.providers.keys();
  const isUnderWay = await isAnywhere(context, providers, demandJobId(key, generation));
  return { record, isUnderWay };
}

async function listHolders(context: WorkerContext): Promise<readonly Holder[]> {
  const waiters = await context.ledger.listPlaceHolders();
  return inChunks(waiters, async (waiter) => ({
    ...waiter,
    isUnderWay: await isAnywhere(context, context.providers.keys(), waiter.holder),
  }));
}

async function isAnywhere(
  context: WorkerContext,
  providers: Iterable<ProviderName>,
  jobId: string,
): Promise<boolean> {
  for (const provider of providers) if (await context.producer.isUnderWay(provider, jobId)) return true;
  return false;
}

/** `runners`: also those that were live before the list was read, and have been ended since. */
async function findStrays(
  context: WorkerContext,
  instances: World["instances"],
  runners: readonly RunnerRecord[],
): Promise<readonly Stray[]> {
  const known = new Set(runners.map((runner) => runner.instanceId));
  const unknown = [...instances.values()].flat().filter(({ instanceId }) => !known.has(instanceId));
  return inChunks(unknown, async (instance) => ({
    instance,
    launch: await context.ledger.getLaunch(instance.launchId, instance),
  }));
}

/** Many at a time, not all: Redis is shared with the ingress. */
async function inChunks<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += 50)
    results.push(...(await Promise.all(items.slice(from, from + 50).map(work))));
  return results;
}
