/** What the next matching request gets instead of, or besides, its answer. */
export interface ScriptedFault {
  /** Part of `METHOD /path`, or of GitHub's operation id; every request when empty. */
  readonly match: string;
  /** Whose requests; everybody's when absent. */
  readonly caller?: string;
  readonly kind: "fail" | "lose" | "delay";
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
  readonly delayMs?: number;
  times: number;
}

export interface FaultScript {
  add(fault: ScriptedFault): void;
  remove(fault: ScriptedFault): void;
  /** Takes the next fault for this request, if there is one. */
  take(request: {
    route: string;
    operationId: string;
    caller: string | undefined;
  }): ScriptedFault | undefined;
}

export function createFaultScript(): FaultScript {
  const faults: ScriptedFault[] = [];
  return {
    add: (fault) => void faults.push(fault),
    remove: (fault) => void faults.splice(faults.indexOf(fault), 1),
    take(request) {
      const fault = faults.find(
        ({ match, times, caller = request.caller }) =>
          times > 0 &&
          caller === request.caller &&
          (request.route.includes(match) || request.operationId.includes(match)),
      );
      if (fault) fault.times -= 1;
      return fault;
    },
  };
}

/** The refusals of GitHub's rate limits, word for word in what clients look at. */
export function rateLimitAnswer(
  kind: "primary" | "secondary",
  retryAfterS: number,
  nowMs: number,
): Pick<ScriptedFault, "status" | "headers" | "body"> {
  const docs = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api";
  if (kind === "secondary")
    return {
      status: 403,
      headers: { "retry-after": String(retryAfterS) },
      body: {
        message: "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        documentation_url: `${docs}#about-secondary-rate-limits`,
      },
    };
  return {
    status: 403,
    headers: {
      "x-ratelimit-remaining": "0",
      "x-ratelimit-reset": String(Math.ceil(nowMs / 1_000) + retryAfterS),
    },
    body: { message: "API rate limit exceeded", documentation_url: `${docs}#primary-rate-limit` },
  };
}
