import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type Document, OpenAPIBackend } from "openapi-backend";

/** What grp asks of GitHub; the rest of the 13 MB description is cut away, or compiling it would take a minute. */
const USED_PATHS = [
  "/app/hook/config",
  "/app/hook/deliveries",
  "/app/hook/deliveries/{delivery_id}/attempts",
  "/app/installations/{installation_id}/access_tokens",
  "/installation/repositories",
  "/orgs/{org}/actions/runner-groups",
  "/orgs/{org}/actions/runners",
  "/orgs/{org}/actions/runners/downloads",
  "/orgs/{org}/actions/runners/generate-jitconfig",
  "/orgs/{org}/actions/runners/remove-token",
  "/orgs/{org}/actions/runners/{runner_id}",
  "/orgs/{org}/hooks",
  "/orgs/{org}/hooks/{hook_id}/deliveries",
  "/orgs/{org}/hooks/{hook_id}/deliveries/{delivery_id}/attempts",
  "/orgs/{org}/installation",
  "/repos/{owner}/{repo}/actions/jobs/{job_id}",
  "/repos/{owner}/{repo}/actions/runners",
  "/repos/{owner}/{repo}/actions/runners/downloads",
  "/repos/{owner}/{repo}/actions/runners/generate-jitconfig",
  "/repos/{owner}/{repo}/actions/runners/remove-token",
  "/repos/{owner}/{repo}/actions/runners/{runner_id}",
  "/repos/{owner}/{repo}/actions/runs",
  "/repos/{owner}/{repo}/actions/runs/{run_id}/jobs",
  "/repos/{owner}/{repo}/hooks",
  "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries",
  "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts",
  "/repos/{owner}/{repo}/installation",
  "/user/repos",
  "/users/{username}/installation",
] as const;

const METHODS = ["get", "post", "put", "patch", "delete"] as const;

type Json = { [key: string]: unknown };
type Operation = Json & { operationId: string; parameters?: Json[]; responses: Json };

export interface Description {
  /** `GET /repos/{owner}/{repo}/actions/runs` to operation id. */
  readonly operationIds: ReadonlyMap<string, string>;
  readonly document: Document;
  /** Whether GitHub documents that status for the operation. */
  documents(operationId: string, status: number): boolean;
}

let loading: Promise<Description> | undefined;

/** GitHub's own OpenAPI description, as far as it is used here; read once per process. */
export function loadDescription(): Promise<Description> {
  loading ??= readDescription();
  return loading;
}

async function readDescription(): Promise<Description> {
  const file = fileURLToPath(import.meta.resolve("@octokit/openapi/generated/api.github.com.json"));
  const whole = JSON.parse(await readFile(file, "utf8")) as Json & { paths: Record<string, Json> };
  const operationIds = new Map<string, string>();
  const statuses = new Map<string, Set<string>>();
  const paths: Record<string, Json> = {};
  for (const path of USED_PATHS) {
    const item = whole.paths[path];
    if (!item) throw new Error(`GitHub's description has no ${path}`);
    paths[path] = item;
    for (const method of METHODS) {
      const operation = item[method] as Operation | undefined;
      if (!operation) continue;
      operationIds.set(`${method.toUpperCase()} ${path}`, operation.operationId);
      statuses.set(operation.operationId, new Set(Object.keys(operation.responses)));
    }
  }
  const components = pickComponents(whole, paths);
  allowNull([paths, components]);
  const document = {
    openapi: whole.openapi,
    info: whole.info,
    paths,
    components,
  };
  return {
    operationIds,
    document: document as unknown as Document,
    documents: (operationId, status) => statuses.get(operationId)?.has(String(status)) ?? false,
  };
}

/** Everything the paths refer to, at any depth. */
function pickComponents(whole: Json, paths: Json): Json {
  const picked: Record<string, Json> = {};
  const waiting: unknown[] = [paths];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    for (const reference of referencesIn(node)) {
      const [, , kind, name] = reference.split("/") as [string, string, string, string];
      picked[kind] ??= {};
      const group = picked[kind];
      if (name in group) continue;
      const component = ((whole.components as Json)[kind] as Json)[name];
      group[name] = component;
      waiting.push(component);
    }
  }
  return picked;
}

interface Schema {
  nullable?: unknown;
  type?: unknown;
  enum?: unknown[];
  anyOf?: unknown[];
  oneOf?: unknown[];
  allOf?: unknown[];
}

/** GitHub's description says `nullable` beside an enum without null, or a union without a type: both mean "or null". */
function allowNull(node: unknown): void {
  if (typeof node !== "object" || node === null) return;
  if ((node as Schema).nullable === true) allowNullIn(node as Schema);
  for (const child of Object.values(node)) allowNull(child);
}

function allowNullIn(schema: Schema): void {
  if (schema.enum && !schema.enum.includes(null)) schema.enum.push(null);
  if (schema.type !== undefined) return;
  delete schema.nullable;
  (schema.anyOf ?? schema.oneOf)?.push({ type: "null" });
  if (!schema.allOf) return;
  schema.anyOf = [{ allOf: schema.allOf }, { type: "null" }];
  delete schema.allOf;
}

function referencesIn(node: unknown): string[] {
  if (typeof node !== "object" || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) =>
    key === "$ref" && typeof value === "string" ? [value] : referencesIn(value),
  );
}

/** Checks requests and answers against the description; validators are compiled when first needed. */
export async function createValidator(description: Description): Promise<OpenAPIBackend> {
  const api = new OpenAPIBackend({
    definition: description.document,
    quick: true,
    ajvOpts: { strict: false, logger: false, validateFormats: false },
  });
  return await api.init();
}
