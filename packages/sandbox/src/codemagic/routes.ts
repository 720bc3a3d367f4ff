import type { Builds } from "./builds.ts";
import type { CodemagicBuild, CodemagicStandInOptions, Reply } from "./types.ts";

const NO_BUILD: Reply = [404, { error: "Build not found" }];
const NO_APP: Reply = [404, { error: "Application not found" }];

export interface RouteContext {
  readonly options: CodemagicStandInOptions & { readonly appId: string };
  readonly builds: Builds;
  /** v1 has forgotten its builds. */
  readonly isHiddenFromV1: () => boolean;
}

/** What CodeMagic answers to one call. */
export function answerCall(context: RouteContext, method: string, url: URL, body: string): Reply {
  const isV3 = url.pathname.startsWith("/api/v3/");
  const [first = "", id = "", third] = url.pathname
    .replace(/^\/api\/v3/, "")
    .split("/")
    .slice(1);
  const routes: Readonly<Record<string, () => Reply>> = {
    "POST builds": () => start(context, body),
    "GET builds": () => list(context, url.searchParams),
    "GET builds/:id": () => show(context, id, isV3),
    "POST builds/:id/cancel": () => cancel(context, id),
    "GET apps/:id": () => showApp(context, id),
  };
  const name = `${method} ${[first, id && ":id", third].filter(Boolean).join("/")}`;
  return routes[name]?.() ?? [404, { error: "Not found" }];
}

function start({ options, builds }: RouteContext, body: string): Reply {
  const given = parse(body);
  if (given?.appId !== options.appId) return NO_APP;
  if (!given.workflowId || !given.branch) return [400, { error: "workflowId and branch are required" }];
  const { workflowId, branch, instanceType, labels = [], environment } = given;
  const variables = environment?.variables ?? {};
  const { buildId } = builds.add({ workflowId, branch, instanceType, labels, variables });
  return [200, { buildId }];
}

/** The newest first, a page from `skip` on. */
function list({ options, builds, isHiddenFromV1 }: RouteContext, query: URLSearchParams): Reply {
  const skip = Number(query.get("skip") ?? 0);
  const known = isHiddenFromV1() ? [] : builds.all;
  const asked = known.filter(({ appId }) => !query.get("appId") || appId === query.get("appId"));
  const page = asked.reverse().slice(skip, skip + (options.pageSize ?? 30));
  return [200, { applications: [{ _id: options.appId }], builds: page.map(asV1) }];
}

/** 200: it will end; 208: it had ended. */
function cancel({ builds, isHiddenFromV1 }: RouteContext, buildId: string): Reply {
  const build = builds.find(buildId);
  if (!build || isHiddenFromV1()) return NO_BUILD;
  if (!build.isLive) return [208, {}];
  builds.cancel(buildId);
  return [200, {}];
}

function show({ builds, isHiddenFromV1 }: RouteContext, buildId: string, isV3: boolean): Reply {
  const build = builds.find(buildId);
  if (!build || (!isV3 && isHiddenFromV1())) return NO_BUILD;
  if (!isV3) return [200, { build: asV1(build) }];
  return [200, { data: { id: build.buildId, status: build.status, labels: build.labels } }];
}

function showApp({ options }: RouteContext, id: string): Reply {
  if (id !== options.appId) return NO_APP;
  const branches = Object.fromEntries(
    Object.entries(options.workflows ?? {}).map(([name, workflowIds]) => [name, { workflowIds }]),
  );
  return [200, { application: { _id: id, appName: "runners", branches } }];
}

interface StartRequest {
  readonly appId?: string;
  readonly workflowId?: string;
  readonly branch?: string;
  readonly instanceType?: string;
  readonly labels?: readonly string[];
  readonly environment?: { readonly variables?: Readonly<Record<string, string>> };
}

function parse(body: string): StartRequest | undefined {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** With a codemagic.yaml, `workflowId` is null and `fileWorkflowId` holds the key. */
function asV1(build: CodemagicBuild) {
  const createdAt = new Date(build.createdAt).toISOString();
  return {
    _id: build.buildId,
    appId: build.appId,
    workflowId: null,
    fileWorkflowId: build.workflowId,
    branch: build.branch,
    instanceType: build.instanceType ?? "mac_mini_m2",
    labels: build.labels,
    status: build.status,
    createdAt,
    startedAt: build.status === "queued" ? null : createdAt,
    finishedAt: null,
  };
}
