import { setTimeout as sleep } from "node:timers/promises";
import type { OpenAPIBackend, Operation } from "openapi-backend";
import type { Caller, Credentials } from "./credentials.ts";
import type { Description } from "./openapi.ts";
import type { RestAnswer, Route } from "./routes.ts";
import type { FaultScript, ScriptedFault } from "./script.ts";
import type { Violation } from "./types.ts";

export interface RestCall {
  readonly method: string;
  readonly path: string;
  readonly query: Record<string, string>;
  readonly headers: Record<string, string>;
  readonly body: unknown;
}

export interface RestOutcome {
  /** Empty for what is none of GitHub's endpoints used here. */
  readonly operationId: string;
  readonly answer: RestAnswer;
  /** It happened, and the answer must not come. */
  readonly isLost: boolean;
}

export interface RestOptions {
  readonly api: OpenAPIBackend;
  readonly description: Description;
  readonly routes: Readonly<Record<string, Route>>;
  readonly credentials: Credentials;
  readonly script: FaultScript;
  readonly violations: Violation[];
  /** Whether the repository `owner/name` is there. */
  readonly isThere: (repository: string) => boolean;
}

/** One REST request after the other: scripted faults, then credentials, then GitHub's description, then the world. */
export function createRest(options: RestOptions): (call: RestCall) => Promise<RestOutcome> {
  const { api, description, routes, credentials, script, violations, isThere } = options;

  function refuseCaller(path: string, caller: Caller | null): RestAnswer | null {
    if (!caller) return refuse(401, "Bad credentials");
    const isApp = caller.kind === "app";
    if (isForApps(path) !== isApp) return refuse(isApp ? 403 : 401, "A JSON web token could not be decoded");
    if (isApp || credentials.stateOf(caller.appId) !== "suspended") return null;
    return refuse(403, "This installation has been suspended");
  }

  function refuseUnknown({ owner, repo }: Readonly<Record<string, string | string[]>>): RestAnswer | null {
    return repo === undefined || isThere(`${owner}/${repo}`) ? null : refuse(404, "Not Found");
  }

  /** Null when the request may go on. */
  function refuseCall(call: RestCall, operation: Operation, caller: Caller | null): RestAnswer | null {
    const stranger = refuseCaller(operation.path, caller);
    if (stranger) return stranger;
    const { valid, errors } = api.validator.validateRequest(call, operation);
    if (valid) return refuseUnknown(api.router.parseRequest(call, operation).params);
    violations.push({
      operation: operation.operationId ?? "",
      where: "request",
      errors: JSON.stringify(errors),
    });
    return refuse(422, "Validation Failed");
  }

  function checkAnswer({ status, body }: RestAnswer, operation: Operation): void {
    const id = operation.operationId ?? "";
    if (!body || !description.documents(id, status)) return;
    const { errors } = api.validator.validateResponse(body, operation, status);
    if (!errors?.length) return;
    violations.push({ operation: id, where: "answer", status, errors: JSON.stringify(errors.slice(0, 5)) });
  }

  return async (call) => {
    const operation = api.router.matchOperation(call);
    const route = operation && routes[`${operation.method.toUpperCase()} ${operation.path}`];
    if (!operation || !route) return { operationId: "", answer: refuse(404, "Not Found"), isLost: false };
    const operationId = operation.operationId ?? "";
    const caller = credentials.callerOf(call.headers.authorization);
    const fault = script.take({ route: `${call.method} ${call.path}`, operationId, caller: caller?.name });
    if (fault?.kind === "fail") return { operationId, answer: answerOf(fault), isLost: false };
    if (fault?.kind === "delay") await sleep(fault.delayMs);
    const refused = refuseCall(call, operation, caller);
    if (refused) return { operationId, answer: refused, isLost: false };
    const { params } = api.router.parseRequest(call, operation);
    const { query, body } = call;
    const answer = route({ params: params as Record<string, string>, query, body, appId: caller?.appId });
    checkAnswer(answer, operation);
    return { operationId, answer, isLost: fault?.kind === "lose" };
  };
}

/** What only the App's own JWT opens; installation tokens don't. */
function isForApps(path: string): boolean {
  return path.startsWith("/app") || path.endsWith("/installation");
}

function refuse(status: number, message: string): RestAnswer {
  return {
    status,
    body: { message, documentation_url: "https://docs.github.com/rest", status: String(status) },
  };
}

function answerOf(fault: ScriptedFault): RestAnswer {
  const status = fault.status ?? 500;
  return {
    ...refuse(status, "Scripted"),
    ...(fault.body && { body: fault.body }),
    headers: fault.headers ?? {},
  };
}
