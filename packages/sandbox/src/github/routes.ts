import type { Scope } from "@grp/core";
import {
  deliveryAnswer,
  downloadsAnswer,
  groupsAnswer,
  hookAnswer,
  installationAnswer,
  jobAnswer,
  PERMISSIONS,
  runAnswer,
  runnerAnswer,
} from "./answers.ts";
import type { Credentials } from "./credentials.ts";
import { repositoryAnswer } from "./payloads.ts";
import type { RunnerPackage } from "./runner-program.ts";
import type { RunnerProtocol } from "./runner-protocol.ts";
import type { HookPlace, StandInHook } from "./types.ts";
import type { Webhooks } from "./webhooks.ts";
import type { World } from "./world.ts";

export interface RouteContext {
  readonly world: World;
  readonly webhooks: Webhooks;
  readonly protocol: RunnerProtocol;
  readonly credentials: Credentials;
  readonly program: RunnerPackage;
  readonly groups: readonly string[];
  readonly url: () => string;
}

export interface RestRequest {
  /** Of the path. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
  /** Of the App that asks, or whose installation asks. */
  readonly appId: number | undefined;
}

export interface RestAnswer {
  readonly status: number;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Route = (request: RestRequest) => RestAnswer;

const NOT_FOUND: RestAnswer = {
  status: 404,
  body: { message: "Not Found", documentation_url: "https://docs.github.com/rest", status: "404" },
};

function refusal(status: number, message: string): RestAnswer {
  return {
    status,
    body: { message, documentation_url: "https://docs.github.com/rest", status: String(status) },
  };
}

/** Every endpoint grp uses, by `METHOD /path` of GitHub's description. */
export function createRoutes(context: RouteContext): Readonly<Record<string, Route>> {
  return {
    ...runnerRoutes(context, "/repos/{owner}/{repo}"),
    ...runnerRoutes(context, "/orgs/{org}"),
    ...jobRoutes(context),
    ...repositoryRoutes(context),
    ...hookRoutes(context),
    ...appRoutes(context),
  };
}

function scopeOf({ params }: RestRequest): Scope {
  const { org, owner = "", repo } = params;
  return org === undefined
    ? { kind: "repository", owner, repository: repo ?? "" }
    : { kind: "organization", owner: org, runnerGroup: "" };
}

function runnerRoutes(context: RouteContext, base: string): Record<string, Route> {
  const { world, groups } = context;
  const find = (request: RestRequest) =>
    world.listRunners(scopeOf(request)).find(({ id }) => id === Number(request.params.runner_id));
  return {
    [`GET ${base}/actions/runners`]: (request) => {
      const { name } = request.query;
      const all = world
        .listRunners(scopeOf(request))
        .filter((runner) => name === undefined || runner.name === name);
      return paged(request, all.map(runnerAnswer), "runners");
    },
    [`GET ${base}/actions/runners/{runner_id}`]: (request) => {
      const runner = find(request);
      return runner ? { status: 200, body: runnerAnswer(runner) } : NOT_FOUND;
    },
    [`DELETE ${base}/actions/runners/{runner_id}`]: (request) => {
      const runner = find(request);
      if (!runner) return NOT_FOUND;
      if (runner.busy)
        return refusal(
          422,
          `Bad request - Runner "${runner.name}" is currently running a job and cannot be deleted.`,
        );
      world.remove(runner);
      return { status: 204 };
    },
    [`POST ${base}/actions/runners/generate-jitconfig`]: (request) => {
      const body = request.body as { name: string; labels: string[]; runner_group_id: number };
      if (body.runner_group_id > groups.length) return refusal(422, "Invalid runner group");
      const order = { name: body.name, labels: body.labels, groupId: body.runner_group_id };
      const runner = world.register({ ...order, scope: scopeOf(request) });
      if (!runner)
        return refusal(409, `Already exists - A runner with the name ${body.name} already exists.`);
      const encoded = context.protocol.encodeJitConfig(runner);
      return { status: 201, body: { runner: runnerAnswer(runner), encoded_jit_config: encoded } };
    },
    [`GET ${base}/actions/runners/downloads`]: () => ({
      status: 200,
      body: downloadsAnswer({ ...context.program, url: context.url() }),
    }),
    [`POST ${base}/actions/runners/remove-token`]: () => ({
      status: 201,
      body: { token: "SANDBOX-REMOVE-TOKEN", expires_at: new Date(Date.now() + 3_600_000).toISOString() },
    }),
    ...(base.startsWith("/orgs")
      ? { [`GET ${base}/actions/runner-groups`]: () => ({ status: 200, body: groupsAnswer(groups) }) }
      : {}),
  };
}

/** Those that ever had a workflow job here. */
function repositoryRoutes({ world }: RouteContext): Record<string, Route> {
  const list = (): object[] => {
    const known = new Map([...world.jobs.values()].map((job) => [`${job.owner}/${job.repository}`, job]));
    return [...known.values()].map((job) => repositoryAnswer(job.owner, job.repository, job.isPrivate));
  };
  return {
    "GET /user/repos": (request) => paged(request, list(), null),
    "GET /installation/repositories": (request) => paged(request, list(), "repositories"),
  };
}

function jobRoutes({ world }: RouteContext): Record<string, Route> {
  const jobsOf = ({ params }: RestRequest) =>
    [...world.jobs.values()].filter((job) => job.owner === params.owner && job.repository === params.repo);
  return {
    "GET /repos/{owner}/{repo}/actions/jobs/{job_id}": (request) => {
      const job = jobsOf(request).find(({ id }) => id === Number(request.params.job_id));
      return job ? { status: 200, body: jobAnswer(job) } : NOT_FOUND;
    },
    "GET /repos/{owner}/{repo}/actions/runs": (request) => {
      const { status } = request.query;
      const jobs = jobsOf(request).filter((job) => status === undefined || job.status === status);
      return paged(request, jobs.map(runAnswer), "workflow_runs");
    },
    "GET /repos/{owner}/{repo}/actions/runs/{run_id}/jobs": (request) => {
      const jobs = jobsOf(request).filter(({ runId }) => runId === Number(request.params.run_id));
      return paged(request, jobs.map(jobAnswer), "jobs");
    },
  };
}

type IsPlace = (place: HookPlace, request: RestRequest) => boolean;

function createPlaces(firstAppId: number): Readonly<Record<HookPlace["kind"], IsPlace>> {
  return {
    app: (place, { appId }) => place.kind === "app" && (place.appId ?? firstAppId) === appId,
    repository: (place, { params: { owner, repo } }) =>
      place.kind === "repository" && place.owner === owner && place.repository === repo,
    organization: (place, { params: { org } }) => place.kind === "organization" && place.owner === org,
  };
}

function hookRoutes(context: RouteContext): Record<string, Route> {
  const { webhooks } = context;
  const places = createPlaces(context.credentials.apps[0].appId);
  const hooksAt = (kind: HookPlace["kind"], request: RestRequest) =>
    webhooks.hooks.filter((hook) => places[kind](hook.place, request));
  const hookOf = (kind: HookPlace["kind"], request: RestRequest) =>
    hooksAt(kind, request).find(({ id }) => kind === "app" || id === Number(request.params.hook_id));
  const list =
    (kind: HookPlace["kind"]) =>
    (request: RestRequest): RestAnswer => {
      const hook = hookOf(kind, request);
      return hook ? deliveriesPage(context, hook, request) : NOT_FOUND;
    };
  const attempt =
    (kind: HookPlace["kind"]) =>
    (request: RestRequest): RestAnswer => {
      const hook = hookOf(kind, request);
      const id = Number(request.params.delivery_id);
      const delivery = webhooks.deliveries.find((one) => one.id === id && one.hookId === hook?.id);
      if (!delivery) return NOT_FOUND;
      webhooks.redeliver(delivery);
      return { status: 202, body: {} };
    };
  const hooks = (kind: HookPlace["kind"]) => (request: RestRequest) =>
    paged(request, hooksAt(kind, request).map(hookAnswer), null);
  return {
    "GET /repos/{owner}/{repo}/hooks": hooks("repository"),
    "GET /orgs/{org}/hooks": hooks("organization"),
    "GET /repos/{owner}/{repo}/hooks/{hook_id}/deliveries": list("repository"),
    "GET /orgs/{org}/hooks/{hook_id}/deliveries": list("organization"),
    "GET /app/hook/deliveries": list("app"),
    "POST /repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts": attempt("repository"),
    "POST /orgs/{org}/hooks/{hook_id}/deliveries/{delivery_id}/attempts": attempt("organization"),
    "POST /app/hook/deliveries/{delivery_id}/attempts": attempt("app"),
    "GET /app/hook/config": (request) => {
      const hook = hookOf("app", request);
      const config = { content_type: hook?.contentType ?? "json", url: hook?.url ?? "", insecure_ssl: "0" };
      return { status: 200, body: config };
    },
  };
}

/** GitHub's own ranges of the `status` filter. */
const WANTED: Readonly<Record<string, (statusCode: number) => boolean>> = {
  success: (statusCode) => statusCode >= 200 && statusCode < 400,
  failure: (statusCode) => statusCode >= 400 && statusCode < 600,
};

/** Newest first, the rest by a cursor in the Link header: what is older than the delivery that it names. */
function deliveriesPage(context: RouteContext, hook: StandInHook, request: RestRequest): RestAnswer {
  const isWanted = WANTED[request.query.status ?? ""] ?? (() => true);
  const mine = context.webhooks.deliveries
    .filter((delivery) => delivery.hookId === hook.id && isWanted(delivery.statusCode))
    .toReversed();
  const size = Number(request.query.per_page ?? 30);
  const before = Number(request.query.cursor ?? Number.POSITIVE_INFINITY);
  const older = mine.filter(({ id }) => id < before);
  const page = older.slice(0, size);
  const last = older.length > size ? page.at(-1) : undefined;
  return {
    status: 200,
    body: page.map(deliveryAnswer),
    ...(last && { headers: linkTo({ cursor: String(last.id) }) }),
  };
}

function appRoutes(context: RouteContext): Record<string, Route> {
  const { apps, stateOf, mintInstallationToken } = context.credentials;
  const find = ({ params, appId = 0 }: RestRequest): RestAnswer => {
    const state = stateOf(appId);
    if (state === "uninstalled") return NOT_FOUND;
    // One installation for all accounts; GitHub numbers those of all Apps together.
    const id = 1 + apps.findIndex((app) => app.appId === appId);
    const place = { owner: params.owner ?? params.org ?? "", appId, id };
    return { status: 200, body: installationAnswer({ ...place, isSuspended: state === "suspended" }) };
  };
  return {
    "GET /repos/{owner}/{repo}/installation": find,
    "GET /orgs/{org}/installation": find,
    "POST /app/installations/{installation_id}/access_tokens": ({ appId = 0 }) => {
      const state = stateOf(appId);
      if (state === "uninstalled") return NOT_FOUND;
      if (state === "suspended") return refusal(403, "This installation has been suspended");
      const minted = mintInstallationToken(appId);
      return { status: 201, body: { ...minted, permissions: PERMISSIONS, repository_selection: "all" } };
    },
  };
}

function paged(request: RestRequest, items: readonly object[], key: string | null): RestAnswer {
  const size = Number(request.query.per_page ?? 30);
  const page = Number(request.query.page ?? 1);
  const some = items.slice((page - 1) * size, page * size);
  const hasMore = page * size < items.length;
  const body = key === null ? some : { total_count: items.length, [key]: some };
  return { status: 200, body, ...(hasMore && { headers: linkTo({ page: String(page + 1) }) }) };
}

/** Completed by the server, which knows the request's address. */
function linkTo(query: Readonly<Record<string, string>>): Record<string, string> {
  return { link: new URLSearchParams(query).toString() };
}
