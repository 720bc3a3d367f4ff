import { demandJobId, type Instance, type ProviderName, parseScopeKey, scopeKey } from "@grp/core";
import type { RunnerRecord, Waiter, WorkflowJobRecord } from "@grp/ledger";
import pMap from "p-map";
import type { WorkerContext } from "../context.ts";
import type { GitHubRound } from "./ask-github.ts";
import type { Blind } from "./blindness.ts";
import type { ChooseToCheck } from "./choose-to-check.ts";
import { questionOf, readRegistered } from "./read-registered.ts";
import { readVersions } from "./read-versions.ts";
import { rememberGhosts } from "./remember-ghosts.ts";
import { findShortfalls } from "./rules/missing.ts";
import { mustAsk } from "./rules/stray.ts";
import { type Holder, isOurName, type OpenDemand, type Stray, type World } from "./world.ts";

/** A request each, in turn: some seconds of a sweep when many machines were lost at once. */
const MOST_ASKED = 20;

/** Questions to Redis under way: it is shared with the ingress, and this process launches machines meanwhile. */
const SOME = { concurrency: 10 };

/** The longest running of those are read; a few are asked for in each round, and then come the next. */
const MOST_UNENDED = 500;

export interface GatherOptions {
  readonly graceMs: number;
  /** From one round to the next. */
  readonly intervalMs: number;
  readonly signal: AbortSignal;
  readonly round: GitHubRound;
  /** Which open demands GitHub is asked about this time: each costs a request. */
  readonly chooseToCheck: ChooseToCheck;
  readonly chooseUnended: ChooseToCheck;
  /** A provider could not be asked; rules that need it are blind this time. */
  onBlind(blind: Blind): void;
  onSeen(place: string): void;
}

/** Asks the outside first and the ledger after it (see `World`). Only the ledger's own failure is thrown. */
export async function gatherWorld(context: WorkerContext, options: GatherOptions): Promise<World> {
  const { ledger } = context;
  const known = await ledger.listLiveRunners();
  const { instances, unasked } = await listInstances(context, options);
  const times = { now: context.now(), intervalMs: options.intervalMs };
  const registered = await readRegistered(context, { round: options.round, times }, known);
  const versions = await readVersions(context, options.round, registered);
  const holders = await listHolders(context);
  const open = await ledger.listOpenDemands();
  const unended = options.chooseUnended(await findUnended(context, known));
  const asked = [...options.chooseToCheck(open), ...unended];
  const workflowJobs = await askWorkflowJobs(options.round, asked);
  const demands = await pMap(open, (record) => judgeUnderWay(context, record), SOME);
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
    unasked,
    strays: await findStrays(context, instances, [...known, ...runners]),
    registered,
    ghosts: await rememberGhosts(context, { runners, registered, installation }),
    workflowJobs,
    unended,
    holders,
    caps,
  };
  const strays = await askBeforeEnding(options.round, world);
  return { ...world, strays, workflowJobs: await askBeforeLaunching(options.round, world) };
}

async function listInstances(
  context: WorkerContext,
  { signal, onBlind, onSeen }: GatherOptions,
): Promise<Pick<World, "instances" | "unasked">> {
  const instances = new Map<ProviderName, readonly Instance[]>();
  const unasked = new Map<ProviderName, readonly string[]>();
  for (const [name, provider] of context.providers) {
    const place = `provider ${name}`;
    await provider.list(signal).then(
      (listing) => {
        instances.set(name, listing.instances);
        onSeen(place);
        unasked.set(
          name,
          listing.unasked.map((one) => one.place),
        );
        for (const one of listing.unasked) onBlind({ place: `${place} in ${one.place}`, error: one.error });
      },
      (error: unknown) => onBlind({ place, error }),
    );
  }
  return { instances, unasked };
}

/** They run, as far as we heard, on runners of ours that are gone: their `completed` may be lost. */
async function findUnended(
  context: WorkerContext,
  live: readonly RunnerRecord[],
): Promise<readonly WorkflowJobRecord[]> {
  const names = new Set(live.map(({ runnerName }) => runnerName));
  const running = await context.ledger.listRunning();
  const gone = running.filter(({ servedBy }) => isOurName(context, servedBy) && !names.has(servedBy));
  const longest = gone.slice(0, MOST_UNENDED);
  const records = await pMap(longest, ({ key }) => context.ledger.getWorkflowJob(key), SOME);
  return records.flatMap((record) => (record?.workflowJobState === "in_progress" ? [record] : []));
}

async function askWorkflowJobs(
  round: GitHubRound,
  asked: readonly WorkflowJobRecord[],
): Promise<World["workflowJobs"]> {
  const answers = await round.askEach(
    asked,
    ({ demand }) => ({ owner: demand.owner, place: "GitHub's workflow jobs" }),
    (github, { demand }, signal) => github.getWorkflowJob(demand, signal),
  );
  return new Map(
    asked.flatMap(({ key }, index) => {
      const answer = answers[index];
      return answer?.kind === "said" ? [[key, answer.value] as const] : [];
    }),
  );
}

/**
 * A workflow job's start may have gone unheard while its machine's end was told: before another machine is paid for,
 * GitHub says which of those that could have begun still wait. Of a class's, not only as many as are missing.
 */
async function askBeforeLaunching(round: GitHubRound, world: World): Promise<World["workflowJobs"]> {
  const doubtful = findShortfalls(world).flatMap(({ forgotten }) => forgotten);
  const unasked = doubtful.filter(({ record }) => !world.workflowJobs.has(record.key));
  const records = unasked.slice(0, MOST_ASKED).map(({ record }) => record);
  return new Map([...world.workflowJobs, ...(await askWorkflowJobs(round, records))]);
}

/** A request for each scope that was not asked yet: the runner of a machine that the ledger lost may be busy. */
async function askBeforeEnding(round: GitHubRound, world: World): Promise<World["strays"]> {
  const keys = new Set(
    world.strays.filter((one) => mustAsk(world, one)).map(({ instance }) => instance.scope ?? ""),
  );
  const known = new Map([...world.registered].map(([key, { runners }]) => [key, runners]));
  const scopes = [...keys].filter((key) => !known.has(key)).flatMap((key) => parseScopeKey(key) ?? []);
  const some = scopes.slice(0, MOST_ASKED);
  const answers = await round.askEach(some, questionOf, (github, scope, signal) =>
    github.listRunners(scope, signal),
  );
  for (const [index, scope] of some.entries()) {
    const answer = answers[index];
    if (answer?.kind === "said") known.set(scopeKey(scope), answer.value);
  }
  return world.strays.map((one) => {
    const registered = known.get(one.instance.scope ?? "");
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
  const judge = async (waiter: Waiter) => {
    const isUnderWay = await isAnywhere(context, context.providers.keys(), waiter.holder);
    return { ...waiter, isUnderWay };
  };
  return pMap(waiters, judge, SOME);
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
  const judge = async (instance: Instance) => {
    return { instance, launch: await context.ledger.getLaunch(instance.launchId, instance) };
  };
  return pMap(unknown, judge, SOME);
}
