import { RateLimitedError } from "@grp/core";
import { expect } from "chai";
import { createGatherer } from "./gatherer.ts";
import type { Joining } from "./line.ts";

/** Calls that a test answers by hand. */
function createCalls() {
  const calls: { members: readonly string[]; signal: AbortSignal; end(error?: Error): void }[] = [];
  let arrived = () => {};
  let next = new Promise<void>((resolve) => (arrived = resolve));
  return {
    calls,
    sizes: () => calls.map(({ members }) => members.length),
    /** The next call has been made. */
    async made(count: number) {
      while (calls.length < count) await next;
    },
    run: (members: readonly string[], signal: AbortSignal) =>
      new Promise<readonly string[]>((resolve, reject) => {
        const end = (error?: Error) => (error ? reject(error) : resolve(members.map((one) => `for ${one}`)));
        calls.push({ members, signal, end });
        arrived();
        next = new Promise<void>((again) => (arrived = again));
      }),
  };
}

describe("the gatherer", () => {
  const joining = (
    { run }: ReturnType<typeof createCalls>,
    member: string,
    more: Partial<Joining<string, string>> = {},
  ): Joining<string, string> => ({
    ...{ key: "k", member, limit: 3, signal: new AbortController().signal, run },
    ...more,
  });

  it("lets the first go at once, and those who come meanwhile together", async () => {
    const calls = createCalls();
    const gatherer = createGatherer<string, string>();
    const first = gatherer.join(joining(calls, "a"));
    await calls.made(1);
    const others = ["b", "c"].map((name) => gatherer.join(joining(calls, name)));
    expect(calls.sizes()).to.deep.equal([1]);
    calls.calls[0]?.end();
    expect(await first).to.equal("for a");
    await calls.made(2);
    calls.calls[1]?.end();
    expect(await Promise.all(others)).to.deep.equal(["for b", "for c"]);
    expect(calls.sizes()).to.deep.equal([1, 2]);
  });

  it("makes no call larger than the limit, and keeps the order of arrival", async () => {
    const calls = createCalls();
    const gatherer = createGatherer<string, string>();
    const all = ["a", "b", "c", "d", "e"].map((name) => gatherer.join(joining(calls, name)));
    for (let made = 1; made <= 2; made++) {
      await calls.made(made);
      calls.calls[made - 1]?.end();
    }
    await Promise.all(all);
    expect(calls.calls.map(({ members }) => members.join(""))).to.deep.equal(["abc", "de"]);
  });

  it("makes full calls beside others, four at most, and nothing less", async () => {
    const calls = createCalls();
    const gatherer = createGatherer<string, string>();
    const join = (names: string) => [...names].map((name) => gatherer.join(joining(calls, name)));
    const all = join("abcde");
    await calls.made(1);
    // Not full: it gathers.
    await new Promise(setImmediate);
    expect(calls.sizes()).to.deep.equal([3]);
    all.push(...join("f"));
    await calls.made(2);
    all.push(...join("ghijkl"));
    await calls.made(4);
    all.push(...join("mnopq"));
    await new Promise(setImmediate);
    expect(calls.sizes()).to.deep.equal([3, 3, 3, 3]);
    calls.calls[1]?.end();
    await calls.made(5);
    for (const call of [0, 2, 3, 4]) {
      await new Promise(setImmediate);
      expect(calls.sizes()).to.deep.equal([3, 3, 3, 3, 3]);
      calls.calls[call]?.end();
    }
    await calls.made(6);
    calls.calls[5]?.end();
    expect(await Promise.all(all)).to.deep.equal([..."abcdefghijklmnopq"].map((name) => `for ${name}`));
    const made = calls.calls.map(({ members }) => members.join(""));
    expect(made).to.deep.equal(["abc", "def", "ghi", "jkl", "mno", "pq"]);
  });

  it("asks for leave before each call, and takes more along the longer it must wait", async () => {
    const calls = createCalls();
    const gatherer = createGatherer<string, string>();
    const asked: number[] = [];
    const answers = [{ waitMs: 1 }, { granted: 2 }, { granted: 1 }];
    const join = (name: string) => gatherer.join(joining(calls, name, { admit }));
    const late: Promise<string>[] = [];
    const admit = async (wanted: number) => {
      asked.push(wanted);
      if (asked.length === 1) late.push(join("b"), join("c"));
      return answers.shift() ?? { granted: wanted };
    };
    const first = join("a");
    for (let made = 1; made <= 2; made++) {
      await calls.made(made);
      calls.calls[made - 1]?.end();
    }
    await Promise.all([first, ...late]);
    expect(asked).to.deep.equal([1, 3, 1]);
    expect(calls.calls.map(({ members }) => members.join(""))).to.deep.equal(["ab", "c"]);
  });

  it("asks for leave beside a call only for a full one, and for no other once leave is short", async () => {
    const calls = createCalls();
    const gatherer = createGatherer<string, string>();
    const asked: number[] = [];
    const answers = [
      { granted: 3 },
      { granted: 3 },
      { granted: 1 },
      { granted: 3 },
      { waitMs: 60_000 },
      { granted: 2 },
    ];
    const admit = async (wanted: number) => {
      asked.push(wanted);
      return answers.shift() ?? { granted: wanted };
    };
    const join = (names: string) => [...names].map((name) => gatherer.join(joining(calls, name, { admit })));
    const isQuiet = async (...sizes: readonly number[]) => {
      await new Promise(setImmediate);
      expect(calls.sizes()).to.deep.equal(sizes);
    };
    const all = join("abcdefghijklm");
    await calls.made(3);
    // The third was for one of three: the other six gather until no call is under way.
    await isQuiet(3, 3, 1);
    calls.calls[0]?.end();
    calls.calls[1]?.end();
    await isQuiet(3, 3, 1);
    calls.calls[2]?.end();
    await calls.made(4);
    // Leave was refused beside it: nobody is laid aside for that, and it is asked for again when that call is over.
    await isQuiet(3, 3, 1, 3);
    calls.calls[3]?.end();
    await calls.made(5);
    calls.calls[4]?.end();
    await calls.made(6);
    calls.calls[5]?.end();
    expect(await Promise.all(all)).to.deep.equal([..."abcdefghijklm"].map((name) => `for ${name}`));
    expect(calls.sizes()).to.deep.equal([3, 3, 1, 3, 2, 1]);
    expect(asked).to.deep.equal([3, 3, 3, 3, 3, 3, 1]);
  });

  const shortage = { name: "machines", everyMs: 500, machines: 1 };
  const isAside = (error: unknown) => error instanceof RateLimitedError && error.isShared;

  it("holds one call's worth of those who wait for leave, the oldest; the others come back in their order", async () => {
    const calls = createCalls();
    const gatherer = createGatherer<string, string>({ now: () => 0 });
    let isLeft = false;
    const admit = async (wanted: number) =>
      isLeft ? { granted: wanted } : { waitMs: 40, shortage: { ...shortage } };
    const held: string[] = [];
    const join = (order: number) =>
      gatherer
        .join(joining(calls, `${order}`, { admit, order, limit: 2, held: (member) => held.push(member) }))
        .catch((error: RateLimitedError) => error);
    const all = [5, 3, 4, 1].map(join);
    const aside = (await Promise.all([all[0], all[2]])) as RateLimitedError[];
    expect(aside.map((error) => [isAside(error), error.retryAfterMs])).to.deep.equal([
      [true, 40 + 3 * 500],
      [true, 40 + 2 * 500],
    ]);
    // It comes late, and has waited longer than one of those who are held.
    const oldest = join(2);
    expect(await all[1]).to.have.property("retryAfterMs", 40 + 2 * 500);
    isLeft = true;
    await calls.made(1);
    calls.calls[0]?.end();
    expect(await Promise.all([all[3], oldest])).to.deep.equal(["for 1", "for 2"]);
    expect(held).to.deep.equal(["1", "3", "2"]);
  });

  it("holds no more of all keys than it may, and nobody for long", async () => {
    let now = 0;
    const calls = createCalls();
    const gatherer = createGatherer<string, string>({ now: () => now, mostHeld: 1 });
    let asked = () => {};
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    const admit = async () => {
      asked();
      return { waitMs: 5 };
    };
    const first = gatherer.join(joining(calls, "a", { admit })).catch((error) => error);
    await isAsked;
    await new Promise(setImmediate);
    const other = await gatherer.join(joining(calls, "b", { admit, key: "k2" })).catch((error) => error);
    expect(isAside(other)).to.equal(true);
    now = 5_000;
    expect(isAside(await first)).to.equal(true);
    expect(calls.sizes()).to.deep.equal([]);
  });

  it("holds the first in order of all keys, also one that comes late", async () => {
    const calls = createCalls();
    const gatherer = createGatherer<string, string>({ mostHeld: 2 });
    let isLeft = false;
    const admit = async (wanted: number) => (isLeft ? { granted: wanted } : { waitMs: 20 });
    const join = (order: number, key: string) =>
      gatherer.join(joining(calls, `${order}`, { admit, order, key })).catch((error) => error);
    const [first, last] = [join(5, "k1"), join(6, "k1")];
    const late = join(1, "k2");
    expect(isAside(await last)).to.equal(true);
    isLeft = true;
    await calls.made(2);
    for (const call of calls.calls) call.end();
    expect(await Promise.all([first, late])).to.deep.equal(["for 5", "for 1"]);
  });

  it("gives leave back when a call is over, and when nobody waits for it any more", async () => {
    const calls = createCalls();
    const gatherer = createGatherer<string, string>();
    const log: string[] = [];
    const admit = async (granted: number) => {
      const leave = { use: () => ({ grantedAt: 0 }), giveBack: () => void log.push("given back") };
      return { granted, leave };
    };
    const run: Joining<string, string>["run"] = async (members, _signal, leave) => {
      log.push(leave?.use(members.length) ? "used" : "none");
      return members;
    };
    await gatherer.join(joining(calls, "a", { admit, run }));
    const controller = new AbortController();
    const { signal } = controller;
    const admitLate = async (wanted: number) => {
      controller.abort(new Error("gone"));
      return admit(wanted);
    };
    const more = { admit: admitLate, run, signal };
    expect(await gatherer.join(joining(calls, "b", more)).catch(({ message }) => message)).to.equal("gone");
    await new Promise(setImmediate);
    expect(log).to.deep.equal(["used", "given back", "given back"]);
  });

  it("lets nobody wait behind a call that is overdue, and counts those in it among the held", async () => {
    const calls = createCalls();
    const gatherer = createGatherer<string, string>({ mostHeld: 3, overdueMs: 40 });
    const behind = (name: string, more: Partial<Joining<string, string>> = {}) =>
      gatherer.join(joining(calls, name, more)).catch((error: RateLimitedError) => error);
    const hung = ["a", "b", "c"].map((name) => behind(name));
    await calls.made(1);
    const isLaid = { code: "unanswered", isShared: true, retryAfterMs: 2_000 };
    expect(await behind("d")).to.include(isLaid);
    expect(await behind("e")).to.include(isLaid);
    const admit = async () => ({ waitMs: 5 });
    expect(isAside(await behind("f", { key: "k2", admit }))).to.equal(true);
    const other = behind("g", { key: "k3" });
    await calls.made(2);
    for (const call of calls.calls) call.end();
    expect(await Promise.all([...hung, other])).to.deep.equal(["for a", "for b", "for c", "for g"]);
    // The line is as good as new.
    const next = behind("h");
    await calls.made(3);
    const later = behind("i");
    calls.calls[2]?.end();
    expect(await next).to.equal("for h");
    await calls.made(4);
    calls.calls[3]?.end();
    expect(await later).to.equal("for i");
  });

  it("lets nobody wait until the last of two overdue calls is answered", async () => {
    const calls = createCalls();
    const gatherer = createGatherer<string, string>({ overdueMs: 40 });
    const join = (name: string, key = "k") =>
      gatherer.join(joining(calls, name, { key, limit: 2 })).catch((error: RateLimitedError) => error.code);
    const hung = ["a", "b", "c", "d"].map((name) => join(name));
    await calls.made(2);
    // Made later, overdue later.
    const other = join("x", "other");
    await calls.made(3);
    expect(await join("y", "other")).to.equal("unanswered");
    expect(await join("e")).to.equal("unanswered");
    calls.calls[0]?.end();
    expect(await Promise.all(hung.slice(0, 2))).to.deep.equal(["for a", "for b"]);
    expect(await join("f")).to.equal("unanswered");
    calls.calls[1]?.end();
    expect(await Promise.all(hung.slice(2))).to.deep.equal(["for c", "for d"]);
    const next = join("g");
    await calls.made(4);
    for (const call of calls.calls.slice(2)) call.end();
    expect(await Promise.all([next, other])).to.deep.equal(["for g", "for x"]);
  });

  it("keeps one bound for all lines that hang; who is beyond it is let go, and the calls go on", async () => {
    const calls = createCalls();
    const gatherer = createGatherer<string, string>({ mostHeld: 3, overdueMs: 40 });
    const stop = new AbortController();
    const { signal } = stop;
    const outcomes = new Map<string, string>();
    const join = (name: string, more: Partial<Joining<string, string>>) =>
      gatherer.join(joining(calls, name, { signal, ...more })).then(
        (answer) => void outcomes.set(name, answer),
        (error: Error) =>
          void outcomes.set(name, error instanceof RateLimitedError ? "let go" : error.message),
      );
    const alone = ["a", "b"].map((name) => join(name, { key: "k1", limit: 1 }));
    const together = ["c", "d"].map((name) => join(name, { key: "k2" }));
    const others = ["e", "f"].map((name) => join(name, { key: "k3", signal: new AbortController().signal }));
    await calls.made(4);
    await Promise.all([together[1], ...others]);
    expect([...outcomes]).to.deep.equal([
      ["d", "let go"],
      ["e", "let go"],
      ["f", "let go"],
    ]);
    expect(calls.calls.map((one) => one.signal.aborted)).to.deep.equal([false, false, false, false]);
    // Of those who stayed, the last that leaves ends its call; one that nobody stayed in goes on.
    calls.calls[0]?.end();
    await alone[0];
    stop.abort(new Error("stopped"));
    await Promise.all([...alone, ...together]);
    expect(["a", "b", "c"].map((name) => outcomes.get(name))).to.deep.equal(["for a", "stopped", "stopped"]);
    expect(calls.calls.map((one) => one.signal.aborted)).to.deep.equal([false, true, true, false]);
    for (const call of calls.calls) call.end();
  });

  it("tells those who wait that leave could not be asked for, and goes on with the next", async () => {
    const calls = createCalls();
    const gatherer = createGatherer<string, string>();
    let isAway = true;
    const admit = async (wanted: number) => {
      if (isAway) throw new Error("away");
      return { granted: wanted };
    };
    expect(await gatherer.join(joining(calls, "a", { admit })).catch(({ message }) => message)).to.equal(
      "away",
    );
    isAway = false;
    const later = gatherer.join(joining(calls, "b", { admit }));
    await calls.made(1);
    calls.calls[0]?.end();
    expect(await later).to.equal("for b");
  });

  it("makes calls of one, and calls for different keys, side by side", async () => {
    const calls = createCalls();
    const gatherer = createGatherer<string, string>();
    const all = [
      gatherer.join(joining(calls, "a", { limit: 1 })),
      gatherer.join(joining(calls, "b", { limit: 1 })),
      gatherer.join(joining(calls, "c", { key: "k2" })),
      gatherer.join(joining(calls, "d", { key: "k3" })),
    ];
    await calls.made(4);
    for (const call of calls.calls) call.end();
    expect(await Promise.all(all)).to.deep.equal(["for a", "for b", "for c", "for d"]);
  });

  it("lets one go that is stopped while it waits, and the others stay", async () => {
    const calls = createCalls();
    const gatherer = createGatherer<string, string>();
    const stop = new AbortController();
    const first = gatherer.join(joining(calls, "a"));
    await calls.made(1);
    const stopped = gatherer.join(joining(calls, "b", { signal: stop.signal })).catch((error) => error);
    const stays = gatherer.join(joining(calls, "c"));
    stop.abort(new Error("stopped"));
    expect(await stopped).to.have.property("message", "stopped");
    calls.calls[0]?.end();
    await calls.made(2);
    calls.calls[1]?.end();
    expect(await Promise.all([first, stays])).to.deep.equal(["for a", "for c"]);
    expect(calls.calls[1]?.members).to.deep.equal(["c"]);
  });

  it("ends a call under way only when all of its members have gone", async () => {
    const calls = createCalls();
    const gatherer = createGatherer<string, string>();
    const stops = [new AbortController(), new AbortController()];
    const all = stops.map(({ signal }, index) => gatherer.join(joining(calls, `${index}`, { signal })));
    const ends = Promise.allSettled(all);
    await calls.made(1);
    stops[0]?.abort();
    expect(calls.calls[0]?.signal.aborted).to.equal(false);
    stops[1]?.abort();
    expect(calls.calls[0]?.signal.aborted).to.equal(true);
    expect((await ends).map(({ status }) => status)).to.deep.equal(["rejected", "rejected"]);
    calls.calls[0]?.end();
  });

  it("tells a failure to all, and to those who come a moment later, without another call", async () => {
    let now = 0;
    const calls = createCalls();
    const gatherer = createGatherer<string, string>({ now: () => now });
    const coolMs = () => 1_000;
    const failed = gatherer.join(joining(calls, "a", { coolMs })).catch((error) => error.message);
    await calls.made(1);
    const meanwhile = gatherer.join(joining(calls, "b", { coolMs })).catch((error) => error.message);
    calls.calls[0]?.end(new Error("no"));
    expect(await Promise.all([failed, meanwhile])).to.deep.equal(["no", "no"]);
    now = 999;
    expect(await gatherer.join(joining(calls, "c", { coolMs })).catch(({ message }) => message)).to.equal(
      "no",
    );
    now = 1_000;
    const later = gatherer.join(joining(calls, "d", { coolMs }));
    await calls.made(2);
    calls.calls[1]?.end();
    expect(await later).to.equal("for d");
  });
});
