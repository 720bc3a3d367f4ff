import type { Fetch } from "../gate.ts";

export interface Call {
  /** `POST /repos/acme/app/actions/runners/generate-jitconfig`, without the query. */
  readonly route: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly authorization: string;
}

export interface Answer {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

type Script = Answer | Error | ((call: Call) => Answer | Error);

/** GitHub as a table of answers by route; a list is used up answer by answer. */
export function scriptFetch(script: Readonly<Record<string, Script | Script[]>>): {
  fetch: Fetch;
  calls: Call[];
} {
  const calls: Call[] = [];
  const fetch: Fetch = async (input, init = {}) => {
    const url = new URL(String(input));
    const call: Call = {
      route: `${init.method} ${url.pathname}`,
      query: Object.fromEntries(url.searchParams),
      body: init.body ? JSON.parse(String(init.body)) : undefined,
      authorization: new Headers(init.headers).get("authorization") ?? "",
    };
    calls.push(call);
    init.signal?.throwIfAborted();
    const entry = script[call.route];
    const next = Array.isArray(entry) ? entry.shift() : entry;
    const answer = typeof next === "function" ? next(call) : next;
    if (!answer) return respond({ status: 404, body: { message: "Not Found" } });
    if (answer instanceof Error) throw answer;
    return respond(answer);
  };
  return { fetch, calls };
}

function respond({ status = 200, body, headers = {} }: Answer): Response {
  const text = body === undefined ? null : JSON.stringify(body);
  return new Response(text, { status, headers: { "content-type": "application/json", ...headers } });
}
