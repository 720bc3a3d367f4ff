import { setImmediate } from "node:timers/promises";
import { type Budget, RateLimitedError, TransientError, UNLIMITED } from "@grp/core";
import { expect } from "chai";
import sinon from "sinon";
import { createGate } from "./gate.ts";

const TOKEN = { credential: "token" };
const URL_ = "https://api.github.com/x";
const never: typeof fetch = (_input, init) =>
  new Promise((_resolve, reject) => {
    if (init?.signal?.aborted) reject(init.signal.reason);
    init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
  });

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
    }).fetchBy(TOKEN);
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
    const fetch: typeof globalThis.fetch = async (input) => {
      asked.push(String(input));
      return String(input) === "app-1:a" ? new Response("{}", { status: 429 }) : new Response("{}");
    };
    const gate = createGate({ now: () => 0, fetch });
    const as = (credential: string) => gate.fetchBy({ credential })(credential);
    await failureOf(as("app-1:a"));
    await failureOf(as("app-1:a"));
    await as("app-1:b");
    await as("app-1");
    expect(asked).to.deep.equal(["app-1:a", "app-1:b", "app-1"]);
  });

  it("takes refusals of requests that were under way together for one, and doubles the pause after the next", async () => {
    let at = 1_000_000;
    const answers: ((response: Response) => void)[] = [];
    const fetch = () => new Promise<Response>((resolve) => answers.push(resolve));
    const gate = createGate({ now: () => at, fetch }).fetchBy(TOKEN);
    const leave = async (count: number) => {
      const sent = Array.from({ length: count }, () => gate(URL_));
      await setImmediate();
      return sent;
    };
    const body = JSON.stringify({ message: "You have exceeded a secondary rate limit." });
    const refuse = (count: number) => {
      for (const answer of answers.splice(0, count)) answer(new Response(body, { status: 403 }));
    };
    const grant = () => answers.shift()?.(new Response("{}"));
    const waitsOf = async (sent: readonly Promise<unknown>[]) =>
      (await Promise.all(sent.map(failureOf))).map((error) => (error as RateLimitedError).retryAfterMs);

    const [late, ...together] = (await leave(9)).toReversed();
    refuse(8);
    expect(await waitsOf(together)).to.deep.equal(Array(8).fill(60_000));
    // It left before: that it is granted ends no row.
    grant();
    await late;
    at += 60_000;
    const again = await leave(1);
    refuse(1);
    expect(await waitsOf(again)).to.deep.equal([120_000]);
    at += 120_000;
    const granted = await leave(1);
    grant();
    await granted[0];
    const first = await leave(1);
    refuse(1);
    expect(await waitsOf(first)).to.deep.equal([60_000]);
  });

  it("stops after the last request that the primary limit allows", async () => {
    const at = 1_000_000;
    const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1060" };
    const gate = createGate({ now: () => at, fetch: async () => new Response("{}", { headers }) }).fetchBy(
      TOKEN,
    );
    expect((await gate(URL_)).status).to.equal(200);
    expect(((await failureOf(gate(URL_))) as RateLimitedError).retryAfterMs).to.equal(60_000);
  });

  it("spends what a request costs before it leaves, and gives back its share of those under way", async () => {
    const spent: unknown[] = [];
    const given: string[] = [];
    const turn = { member: "grp-1-0", order: 7, patienceMs: 30_000 };
    const budget: Budget = {
      ...UNLIMITED,
      async spend({ ways: [charges = []], turn }) {
        spent.push([...charges.map(({ limit, cost }) => `${limit.kind} ${limit.name} ${cost}`), turn]);
        return { granted: true, way: 0, amount: 1, afterMs: 0, lease: `l${spent.length}`, at: 0 };
      },
      async giveBack(lease, { charges }) {
        given.push(`${lease} ${charges.length}`);
      },
    };
    const gate = createGate({ now: Date.now, fetch: async () => new Response("{}"), budget });
    const passport = { credential: "app-1:acme" };
    await gate.fetchBy(passport)(URL_);
    const pass = await gate.admit([passport], { method: "POST", turn, signal: new AbortController().signal });
    await pass.fetch(URL_, { method: "POST" });
    pass.leave();
    const name = "github:app-1:acme";
    expect(spent).to.deep.equal([
      [`parallel ${name} 1`, `window ${name} 1`, undefined],
      [`parallel ${name} 1`, `window ${name} 5`, turn],
    ]);
    expect(given).to.deep.equal(["l1 2", "l2 2"]);
  });

  it("holds a request back for a short wait, and refuses it for a long one, told how long", async () => {
    const waits = [40, 30];
    let requests = 0;
    const budget: Budget = {
      ...UNLIMITED,
      spend: async (spending) => {
        const waitMs = waits.shift();
        return waitMs === undefined ? UNLIMITED.spend(spending) : { granted: false, waitMs };
      },
    };
    const fetch = async () => {
      requests += 1;
      return new Response("{}");
    };
    const gate = createGate({ now: Date.now, fetch, budget, holdMs: 100 }).fetchBy(TOKEN);
    const begun = performance.now();
    await gate(URL_);
    expect(performance.now() - begun).to.be.at.least(69);
    waits.push(101);
    const refused = (await failureOf(gate(URL_))) as RateLimitedError;
    expect(refused).to.include({ code: "in_line", retryAfterMs: 101, isShared: true });
    expect(requests).to.equal(1);
  });

  it("holds a request back no longer than it may, however long the asking takes", async () => {
    const clock = sinon.useFakeTimers({ toFake: ["performance"] });
    try {
      let asked = 0;
      const budget: Budget = {
        ...UNLIMITED,
        async spend() {
          asked += 1;
          clock.tick(400);
          return { granted: false, waitMs: 1 };
        },
      };
      const gate = createGate({ now: () => 0, fetch: never, budget, holdMs: 1_000 }).fetchBy(TOKEN);
      expect(await failureOf(gate(URL_))).to.include({ code: "in_line", retryAfterMs: 1 });
      expect(asked).to.equal(3);
    } finally {
      clock.restore();
    }
  });

  it("tells all processes when GitHub refuses", async () => {
    const slowed: string[] = [];
    const budget: Budget = {
      ...UNLIMITED,
      async slowDown([limit], pauseMs) {
        slowed.push(`${limit?.name} ${pauseMs}`);
        return {};
      },
    };
    const headers = { "retry-after": "30" };
    const fetch = async () => new Response("{}", { status: 429, headers });
    const refused = await failureOf(createGate({ now: () => 0, fetch, budget }).fetchBy(TOKEN)(URL_));
    expect(refused).to.include({ isShared: true });
    expect(slowed).to.deep.equal(["github:token 30000"]);
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
        const failure = failureOf(createGate({ now: Date.now, fetch }).fetchBy(TOKEN)(URL_));
        await clock.tickAsync(10_000);
        const error = (await failure) as TransientError;
        expect(error).to.be.instanceOf(TransientError);
        expect(error.code).to.equal("timeout");
      }
    } finally {
      clock.restore();
    }
  });

  it("gives a registration 20 s, for a late one is as good", async () => {
    const clock = sinon.useFakeTimers();
    try {
      const slow: typeof fetch = async () => {
        await new Promise((resolve) => setTimeout(resolve, 19_000));
        return new Response("{}");
      };
      const { signal } = new AbortController();
      const departure = { method: "POST", registersAt: "acme/app", signal };
      const pass = await createGate({ now: Date.now, fetch: slow }).admit([TOKEN], departure);
      const answer = pass.fetch(URL_, { method: "POST" });
      await clock.tickAsync(19_000);
      expect((await answer).status).to.equal(200);
    } finally {
      clock.restore();
    }
  });

  it("ends at once when the caller gives up", async () => {
    const caller = new AbortController();
    const failure = failureOf(
      createGate({ now: Date.now, fetch: never }).fetchBy(TOKEN)(URL_, { signal: caller.signal }),
    );
    caller.abort();
    expect(((await failure) as TransientError).code).to.equal("aborted");
  });

  it("lets nothing leave for a caller that has given up, but awaits the registration that has left", async () => {
    const caller = new AbortController();
    const answers: ((response: Response) => void)[] = [];
    const fetch: typeof globalThis.fetch = (_input, init) => {
      init?.signal?.throwIfAborted();
      return new Promise((resolve, reject) => {
        answers.push(resolve);
        init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      });
    };
    const gate = createGate({ now: Date.now, fetch });
    const departure = { method: "POST", registersAt: "acme/app", signal: caller.signal };
    const [first, second] = [await gate.admit([TOKEN], departure), await gate.admit([TOKEN], departure)];
    const left = first.fetch(URL_, { method: "POST", signal: caller.signal });
    caller.abort();
    const codes = await Promise.all(
      [second.fetch(URL_, { method: "POST", signal: caller.signal }), gate.admit([TOKEN], departure)].map(
        async (work) => ((await failureOf(work)) as TransientError).code,
      ),
    );
    expect(codes).to.deep.equal(["aborted", "aborted"]);
    expect(answers).to.have.length(1);
    answers[0]?.(new Response("{}"));
    expect((await left).status).to.equal(200);
  });

  it("names a network failure by its code", async () => {
    const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    const fetch = async () => {
      throw new TypeError("fetch failed", { cause });
    };
    const error = (await failureOf(
      createGate({ now: Date.now, fetch }).fetchBy(TOKEN)(URL_),
    )) as TransientError;
    expect(error).to.be.instanceOf(TransientError);
    expect(error.code).to.equal("ECONNREFUSED");
  });
});
