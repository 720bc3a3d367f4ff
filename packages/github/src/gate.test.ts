import { RateLimitedError, TransientError } from "@grp/core";
import { expect } from "chai";
import sinon from "sinon";
import { createGate } from "./gate.ts";

const URL_ = "https://api.github.com/x";
const never: typeof fetch = (_input, init) =>
  new Promise((_resolve, reject) =>
    init?.signal?.addEventListener("abort", () => reject(init.signal?.reason)),
  );

async function failureOf(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  throw new Error("did not fail");
}

describe("the gate before GitHub", () => {
  it("lets no request leave while GitHub wants a pause", async () => {
    let at = 1_000_000;
    let requests = 0;
    const gate = createGate({
      now: () => at,
      fetch: async () => {
        requests += 1;
        return requests === 1
          ? new Response("{}", { status: 429, headers: { "retry-after": "30" } })
          : new Response("{}");
      },
    });
    const refused = (await failureOf(gate(URL_))) as RateLimitedError;
    expect(refused).to.be.instanceOf(RateLimitedError);
    expect(refused.retryAfterMs).to.equal(30_000);
    at += 10_000;
    expect(((await failureOf(gate(URL_))) as RateLimitedError).retryAfterMs).to.equal(20_000);
    expect(requests).to.equal(1);
    at += 20_000;
    expect((await gate(URL_)).status).to.equal(200);
  });

  it("stops one installation of an App and not the others", async () => {
    const asked: string[] = [];
    const fetch: typeof globalThis.fetch = async (_input, init) => {
      const who = new Headers(init?.headers).get("authorization") ?? "";
      asked.push(who);
      return who === "token a" ? new Response("{}", { status: 429 }) : new Response("{}");
    };
    const gate = createGate({ now: () => 0, fetch });
    const as = (who: string) => gate(URL_, { headers: { authorization: who } });
    await failureOf(as("token a"));
    await failureOf(as("token a"));
    await as("token b");
    await as("bearer jwt");
    expect(asked).to.deep.equal(["token a", "token b", "bearer jwt"]);
  });

  it("stops after the last request that the primary limit allows", async () => {
    const at = 1_000_000;
    const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1060" };
    const gate = createGate({ now: () => at, fetch: async () => new Response("{}", { headers }) });
    expect((await gate(URL_)).status).to.equal(200);
    expect(((await failureOf(gate(URL_))) as RateLimitedError).retryAfterMs).to.equal(60_000);
  });

  it("gives up after 10 s, also in the middle of a body", async () => {
    const clock = sinon.useFakeTimers();
    try {
      const slowBody: typeof fetch = async (_input, init) =>
        new Response(
          new ReadableStream({
            start: (stream) =>
              init?.signal?.addEventListener("abort", () => stream.error(init.signal?.reason)),
          }),
        );
      for (const fetch of [never, slowBody]) {
        const failure = failureOf(createGate({ now: Date.now, fetch })(URL_));
        await clock.tickAsync(10_000);
        const error = (await failure) as TransientError;
        expect(error).to.be.instanceOf(TransientError);
        expect(error.code).to.equal("timeout");
      }
    } finally {
      clock.restore();
    }
  });

  it("ends at once when the caller gives up", async () => {
    const caller = new AbortController();
    const failure = failureOf(createGate({ now: Date.now, fetch: never })(URL_, { signal: caller.signal }));
    caller.abort();
    expect(((await failure) as TransientError).code).to.equal("aborted");
  });

  it("names a network failure by its code", async () => {
    const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    const fetch = async () => {
      throw new TypeError("fetch failed", { cause });
    };
    const error = (await failureOf(createGate({ now: Date.now, fetch })(URL_))) as TransientError;
    expect(error).to.be.instanceOf(TransientError);
    expect(error.code).to.equal("ECONNREFUSED");
  });
});
