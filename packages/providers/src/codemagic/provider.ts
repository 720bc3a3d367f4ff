import type { Catalog, CodemagicOffering, Instance, LaunchOrder, RunnerProvider } from "@grp/core";
import { InvalidSpecError, scopeKey, TransientError } from "@grp/core";
import { seconds } from "../boot/render-user-data.ts";
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
import { type Client, type ClientOptions, createClient, read } from "./client.ts";

/** No build of ours waits and runs longer: CodeMagic ends one after 180 minutes at most. */
const OLDEST_LIVE_MS = 24 * 3_600_000;

export interface CodemagicProviderOptions extends ClientOptions {
  /** Builds labelled `grp:<installation>` are ours to list and to end. */
  readonly installation: string;
  /** Its CodeMagic offerings say which apps `list` asks about. */
  readonly catalog: Catalog;
  /** Apps beyond the catalog's where builds of ours may live: their offerings may have left it. */
  readonly liveApps?: () => Promise<readonly string[]>;
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
    /** One app that can't be asked fails the whole: half a list would look like builds that are gone. */
    async list(signal) {
      const found: Instance[] = [];
      const live = (await options.liveApps?.()) ?? [];
      for (const app of new Set([...apps, ...live])) found.push(...(await listLive(context, app, signal)));
      return found;
    },
  };
}

function appsOf(catalog: Catalog): readonly string[] {
  const offerings = catalog.classes.flatMap((runnerClass) => runnerClass.offerings);
  return [...new Set(offerings.flatMap((one) => (one.provider === "codemagic" ? [one.app] : [])))];
}

async function listLive(context: Context, app: string, signal: AbortSignal): Promise<Instance[]> {
  const found: Instance[] = [];
  for await (const build of builds(context, app, signal)) {
    const instance = isOver(build.status) ? undefined : ours(context, build);
    if (instance) found.push(instance);
  }
  return found;
}

function ours(context: Context, build: Build): Instance | undefined {
  return toInstance(build, context.installation, context.now());
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
  for await (const build of builds(context, offering.app, signal))
    if (build.labels.includes(launchId) && build.labels.includes(ownerLabel(context.installation)))
      oldest = build;
  const instance = oldest && ours(context, oldest);
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
  for (const api of ["v1", "v3"] as const) {
    const answer = await context.call({ doing, api, path, accept: [404], signal });
    if (answer.status === 404) continue;
    return isOver(read(buildAnswer, answer.data, doing).status) ? "gone" : "terminating";
  }
  throw new TransientError(`${doing}: CodeMagic doesn't know this build`, { code: "404" });
}

/** An app's builds, the newest first, all pages of those that may still live. */
async function* builds(context: Context, app: string, signal: AbortSignal): AsyncGenerator<Build> {
  const doing = `list the builds of app ${app}`;
  const seen = new Set<string>();
  while (true) {
    const params = { appId: app, skip: seen.size };
    const { data } = await context.call({ doing, path: "/builds", params, signal });
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
