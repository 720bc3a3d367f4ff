import {
  type Catalog,
  type Instance,
  type ProviderName,
  placeOf,
  type RunnerClass,
  type Scope,
  scopeKey,
} from "@grp/core";
import type { GitHubRunner, GitHubWorkflowJob, RunnerVersions } from "@grp/github";
import type {
  CapCount,
  ClassCount,
  LaunchRecord,
  RunnerRecord,
  Waiter,
  WorkflowJobRecord,
} from "@grp/ledger";

/**
 * What GitHub, the providers and the ledger say at one moment: all that a rule may judge by. What could not be asked is
 * absent, and no rule takes absent for empty. Outside is read before the ledger, so whatever is seen outside has its
 * record by then; that a record has nothing outside proves nothing before the grace time is over.
 */
export interface World {
  readonly now: number;
  /** Younger things are not judged: webhooks, lists and reports may be that late. */
  readonly graceMs: number;
  readonly installation: string;
  readonly catalog: Catalog;
  /** Not yet gone. */
  readonly runners: readonly RunnerRecord[];
  readonly demands: readonly OpenDemand[];
  readonly counts: readonly ClassCount[];
  /** Live instances by provider; a provider that could not be asked is absent. */
  readonly instances: ReadonlyMap<ProviderName, readonly Instance[]>;
  /** Of these providers, regions or apps that could not be asked: what is there is not among the instances. */
  readonly unasked: ReadonlyMap<ProviderName, readonly string[]>;
  /** Instances that are no live runner's, with what the ledger knows of them. */
  readonly strays: readonly Stray[];
  /** By `scopeKey`; a scope that was not asked is absent. */
  readonly registered: ReadonlyMap<string, RegisteredScope>;
  /** Since when runners have looked like ghosts: see the rule. */
  readonly ghosts: ReadonlyMap<string, number>;
  /** What GitHub says of some open demands and of `unended`, by key; null: GitHub knows no such workflow job. */
  readonly workflowJobs: ReadonlyMap<string, GitHubWorkflowJob | null>;
  /** Some that run, as far as we heard, on a runner of ours that is gone. */
  readonly unended: readonly WorkflowJobRecord[];
  /** What GitHub gives out and asks of runner programs; absent when nobody's version was to be judged. */
  readonly versions?: KnownVersions;
  /** Holders of places, and whether their queue job is still under way. */
  readonly holders: readonly Holder[];
  /** Limits that the ledger knows, with how many hold and wait. */
  readonly caps: readonly CapCount[];
}

export interface KnownVersions extends RunnerVersions {
  /** Newest versions in turn, each with the time when we first heard of it. */
  readonly releases: readonly Release[];
}

export interface Release {
  readonly version: string;
  readonly seenAt: number;
}

export interface OpenDemand {
  readonly record: WorkflowJobRecord;
  /** Some queue job of it waits or runs: it will be dealt with there. */
  readonly isUnderWay: boolean;
}

export interface Stray {
  readonly instance: Instance;
  readonly launch: LaunchRecord | null;
  /** What GitHub has where its runner would be; absent when that could not be asked, or would change nothing. */
  readonly registered?: readonly GitHubRunner[];
}

export interface RegisteredScope {
  readonly scope: Scope;
  readonly runners: readonly GitHubRunner[];
}

export interface Holder extends Waiter {
  readonly isUnderWay: boolean;
}

export function classOf(world: World, name: string): RunnerClass | undefined {
  return world.catalog.classes.find((one) => one.name === name);
}

/** GitHub's list says that a workflow job runs on it, whatever the ledger has heard; or it was not asked. */
export function mayBeBusy(world: World, { scope, runnerName }: RunnerRecord): boolean {
  const known = world.registered.get(scopeKey(scope));
  return known?.runners.find(({ name }) => name === runnerName)?.busy ?? known === undefined;
}

/** What its provider lists where its machine is; undefined where that could not be asked, or may not have been. */
export function listedAround(
  { instances, unasked }: World,
  { provider, instance }: RunnerRecord,
): readonly Instance[] | undefined {
  const places = unasked.get(provider) ?? [];
  const place = instance && placeOf(instance);
  const isHidden = place === undefined ? places.length > 0 : places.includes(place);
  return isHidden ? undefined : instances.get(provider);
}

/** True once `limitMs` and the grace time have passed since `at`; never for what has no time. */
export function isPast(world: World, at: number | undefined, limitMs = 0): boolean {
  return at !== undefined && world.now - at > limitMs + world.graceMs;
}

/** Our names end in a launch's 24 hex digits and a number: nobody else's do. */
export function isOurName(world: Pick<World, "installation">, name: string): boolean {
  const rest = name.startsWith(`${world.installation}-`) ? name.slice(world.installation.length + 1) : "";
  return /^[0-9a-f]{24}-\d+$/.test(rest);
}
