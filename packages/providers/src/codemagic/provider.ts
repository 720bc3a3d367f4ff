import type { Catalog, CodemagicOffering, Instance, LaunchOrder, RunnerProvider } from "@grp/core";
import { InvalidSpecError, scopeKey, TransientError } from "@grp/core";
import { seconds } from "../boot/render-user-data.ts";
import { listPlaces } from "../list-places.ts";
import {
  appAnswer,
  type Build,
  buildAnswer,
  buildsAnswer,
  isOver,
  labelsOf,
  ownerLabel,
  startAnswer,
  toInstance,
} from "./builds.ts";
import { type Call, type Client, type ClientOptions, createClient, read } from "./client.ts";

/**
 * CodeMagic ends a build after 180 minutes at most; before, it may wait an hour for a free machine. One that waits longer
 * is asked for by its id: a day of history in every list would cost more than CodeMagic allows.
 */
const OLDEST_LIVE_MS = 4 * 3_600_000;

/** A build that the ledger takes for live. */
export interface LiveBuild {
  readonly app: string;
  /** Undefined while its start was never answered. */
  readonly buildId?: string;
}

export interface CodemagicProviderOptions extends ClientOptions {
  /** Builds labelled `grp:<installation>` are ours to list and to end. */
  readonly installation: string;
  /** Its CodeMagic offerings say which apps `list` asks about. */
  readonly catalog: Catalog;
  /** They may be in apps that left the catalog, or further back than the list is read. */
  readonly liveBuilds?: () => Promise<readonly LiveBuild[]>;
}

interface Context {
  readonly call: Client;
  readonly installation: string;
  readonly now: () => number;
}

/**
 * CodeMagic behind the four verbs. It has no idempotency key: a launch that may have been tried before (`placement` is
 * set) looks for its label first. Should two builds start all the same, one claims and the other is told to go.
 */
export function createCodemagicProvider(
  options: CodemagicProviderOptions,
): RunnerProvider<CodemagicOffering> {
  const context = {
    call: createClient({ ...options, limits: options.catalog.limits.codemagic }),
    installation: options.installation,
    now: options.now ?? Date.now,
  };
  const apps = appsOf(options.catalog);
  return {
    name: "codemagic",
    maxLaunchSize: 1,
    validate: (offering, signal) => validate(context, offering, signal),
    launch: (order, signal) => launch(context, order, signal),
    terminate: (buildId, signal) => terminate(context, buildId, signal),
    async list(signal) {
      const live = (await options.liveBuilds?.()) ?? [];
      const all = [...new Set([...apps, ...live.map(({ app }) => app)])];
      return listPlaces(all, (app) => {
        const known = live.flatMap((one) => (one.app === app && one.buildId ? [one.buildId] : []));
        return listLive(context, { app, known }, signal);
      });
    },
  };
}

function appsOf(catalog: Catalog): readonly string[] {
  const offerings = catalog.classes.flatMap((runnerClass) => runnerClass.offerings);
  return [...new Set(offerings.flatMap((one) => (one.provider === "codemagic" ? [one.app] : [])))];
}

async function listLive(
  context: Context,
  { app, known }: { readonly app: string; readonly known: readonly string[] },
  signal: AbortSignal,
): Promise<Instance[]> {
  const found: Build[] = [];
  const old = new Set(known);
  for await (const build of builds(context, { app, isBackground: true }, signal)) {
    found.push(build);
    old.delete(build.id);
  }
  for (const buildId of old) {
    const build = await findBuild(
      context,
      { buildId, doing: `look up build ${buildId}`, isBackground: true },
      signal,
    );
    if (build) found.push(build);
  }
  return found.flatMap((build) => (isOver(build.status) ? [] : (ours(context, build, app) ?? [])));
}

function ours(context: Context, build: Build, app: string): Instance | undefined {
  const instance = toInstance(build, context.installation, context.now());
  return instance && { ...instance, app };
}

/**
 * The app must be there for our token, and where CodeMagic knows the branch's workflows, ours among them. It often
 * does not: what is in codemagic.yaml shows only once a build has cloned it.
 */
async function validate(context: Context, offering: CodemagicOffering, signal: AbortSignal): Promise<void> {
  const doing = `look up app ${offering.app}`;
  const { data } = await context.call({ doing, path: `/apps/${encodeURIComponent(offering.app)}`, signal });
  const { branches } = read(appAnswer, data, doing).application;
  const known = branches as Readonly<Record<string, { workflowIds?: readonly string[] | null }>> | undefined;
  const workflows = known?.[offering.branch]?.workflowIds ?? [];
  if (workflows.length > 0 && !workflows.includes(offering.workflow))
    throw new InvalidSpecError(
      `app ${offering.app} has no workflow "${offering.workflow}" on branch ${offering.branch}, only ${workflows.join(", ")}`,
      { code: "unknown-workflow" },
    );
}

async function launch(
  context: Context,
  order: LaunchOrder<CodemagicOffering>,
  signal: AbortSignal,
): Promise<readonly Instance[]> {
  const doing = `start a build for ${order.launchId}`;
  if (signal.aborted) throw new TransientError(`${doing}: aborted`, { code: "aborted" });
  if (order.placement !== undefined) {
    const started = await findStarted(context, order, signal);
    if (started.length > 0) return started;
  }
  await order.recordPlacement?.(order.offering.app);
  const body = startRequest(order, context.installation);
  const { data } = await context.call({ doing, method: "POST", path: "/builds", body, signal });
  const { buildId } = read(startAnswer, data, doing);
  return [
    {
      instanceId: buildId,
      provider: "codemagic",
      launchId: order.launchId,
      state: "pending",
      launchedAt: context.now(),
      app: order.offering.app,
      runnerClass: order.runnerClass.name,
      scope: scopeKey(order.scope),
    },
  ];
}

/** The build that an earlier try of this launch started, ended or not. The oldest, should there be two. */
async function findStarted(
  context: Context,
  { launchId, offering }: LaunchOrder<CodemagicOffering>,
  signal: AbortSignal,
): Promise<readonly Instance[]> {
  let oldest: Build | undefined;
  for await (const build of builds(context, { app: offering.app }, signal))
    if (build.labels.includes(launchId) && build.labels.includes(ownerLabel(context.installation)))
      oldest = build;
  const instance = oldest && ours(context, oldest, offering.app);
  return instance ? [instance] : [];
}

function startRequest(order: LaunchOrder<CodemagicOffering>, installation: string) {
  const { boot, launchId, offering, runnerClass, scope } = order;
  return {
    appId: offering.app,
    workflowId: offering.workflow,
    branch: offering.branch,
    instanceType: offering.instanceType,
    labels: labelsOf({ installation, launchId, runnerClass: runnerClass.name, scope: scopeKey(scope) }),
    environment: {
      variables: {
        GRP_URL: boot.publicUrl,
        GRP_TICKET: boot.ticket,
        GRP_LAUNCH: launchId,
        GRP_BOOT_TIMEOUT: seconds(boot.bootTimeoutMs),
        GRP_IDLE_TIMEOUT: seconds(boot.idleTimeoutMs),
        GRP_MAX_RUNTIME: seconds(boot.maxRuntimeMs),
      },
    },
  };
}

/**
 * 200: it will end. 208: it had ended. 404 is not believed to be an end (a build just started may not be found yet):
 * its status is asked of both APIs, and if neither knows it, the caller tries again later.
 */
async function terminate(context: Context, buildId: string, signal: AbortSignal) {
  const doing = `cancel build ${buildId}`;
  const path = `/builds/${encodeURIComponent(buildId)}`;
  const { status } = await context.call({
    doing,
    method: "POST",
    path: `${path}/cancel`,
    accept: [404],
    signal,
  });
  if (status === 208) return "gone";
  if (status !== 404) return "terminating";
  const build = await findBuild(context, { buildId, doing }, signal);
  if (build) return isOver(build.status) ? "gone" : "terminating";
  throw new TransientError(`${doing}: CodeMagic doesn't know this build`, { code: "404" });
}

/** Undefined when neither API knows it. */
async function findBuild(
  context: Context,
  { buildId, ...more }: { readonly buildId: string } & Pick<Call, "doing" | "isBackground">,
  signal: AbortSignal,
): Promise<Build | undefined> {
  const path = `/builds/${encodeURIComponent(buildId)}`;
  for (const api of ["v1", "v3"] as const) {
    const { status, data } = await context.call({ ...more, api, path, accept: [404], signal });
    if (status !== 404) return read(buildAnswer, data, more.doing);
  }
  return undefined;
}

/** An app's builds, the newest first, all pages of those that may still live. */
async function* builds(
  context: Context,
  { app, ...more }: { readonly app: string } & Pick<Call, "isBackground">,
  signal: AbortSignal,
): AsyncGenerator<Build> {
  const doing = `list the builds of app ${app}`;
  const seen = new Set<string>();
  while (true) {
    const params = { appId: app, skip: seen.size };
    const { data } = await context.call({ ...more, doing, path: "/builds", params, signal });
    // A build that starts meanwhile pushes the others on: some come twice.
    const page = read(buildsAnswer, data, doing).builds.filter(({ id }) => !seen.has(id));
    yield* page;
    for (const { id } of page) seen.add(id);
    if (page.length === 0 || page.every((build) => isHistory(build, context.now()))) return;
  }
}

function isHistory({ status, createdAt }: Build, nowMs: number): boolean {
  return isOver(status) && createdAt !== undefined && createdAt < nowMs - OLDEST_LIVE_MS;
}
