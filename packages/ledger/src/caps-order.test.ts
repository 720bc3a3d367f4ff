import { expect } from "chai";
import { createRandom, startLedger, T0, type TestLedger } from "./fixtures.ts";

interface Waiter {
  readonly holder: string;
  readonly flow: string;
  readonly rank: number;
}

type Known = Waiter & { readonly tag: number; readonly arrival: number };

/** One cap as it ought to be: who holds, and who stands in line, by rank and then flow by flow in turn. */
function createModel() {
  const held = new Set<string>();
  const known = new Map<string, Known>();
  const last = new Map<string, number>();
  const turns = new Map<string, number>();
  let [arrivals, now] = [0, 0];
  const line = () =>
    [...known.values()]
      .filter((waiter) => !held.has(waiter.holder))
      .sort((a, b) => a.rank - b.rank || a.tag - b.tag || a.arrival - b.arrival);
  const tagFor = ({ holder, flow }: Waiter) => {
    const before = turns.get(holder);
    turns.delete(holder);
    if (before !== undefined) return before;
    const tag = Math.max(now, last.get(flow) ?? 0) + 1;
    last.set(flow, tag);
    return tag;
  };
  const grant = ({ holder, tag, flow }: Known) => {
    held.add(holder);
    now = Math.max(now, tag);
    if ((last.get(flow) ?? 0) <= now) last.delete(flow);
  };
  /** Those of its flow behind it move up. */
  const leave = ({ flow, arrival, tag }: Known) => {
    const behind = line()
      .filter((other) => other.flow === flow && other.arrival > arrival && other.tag > tag)
      .sort((a, b) => a.arrival - b.arrival);
    const tags = [tag, ...behind.map((other) => other.tag)].sort((a, b) => a - b);
    for (const [at, other] of behind.entries())
      known.set(other.holder, { ...other, tag: tags[at] as number });
    const left = (last.get(flow) ?? 0) - 1;
    if (left <= now) last.delete(flow);
    else last.set(flow, left);
  };
  return {
    /** 0 when granted, else the place in the line from 1. */
    take(waiter: Waiter, limit: number): number {
      const { holder } = waiter;
      const { arrival, tag } = known.get(holder) ?? { arrival: ++arrivals, tag: tagFor(waiter) };
      const me = { ...waiter, arrival, tag };
      known.set(holder, me);
      if (held.has(holder)) return 0;
      const ahead = line().findIndex((other) => other.holder === holder);
      if (held.size + ahead >= limit) return ahead + 1;
      grant(me);
      return 0;
    },
    release(holder: string, limit: number, comesBack: boolean): string[] {
      const me = known.get(holder);
      if (!me) return [];
      if (!held.has(holder) && !comesBack) leave(me);
      known.delete(holder);
      held.delete(holder);
      if (comesBack) turns.set(holder, me.tag);
      const woken = line().slice(0, Math.max(0, limit - held.size));
      for (const waiter of woken) grant(waiter);
      if (known.size === 0) {
        now = 0;
        last.clear();
      }
      return woken.map((waiter) => waiter.holder);
    },
  };
}

describe("the line of a cap", () => {
  let test: TestLedger;
  before(async () => {
    test = await startLedger();
  });
  beforeEach(() => test.redis.flushall());
  after(() => test.stop());

  for (const seed of [1, 2, 3, 4]) {
    it(`is served strictly in turn and never above its limit, whatever comes (seed ${seed})`, async () => {
      const random = createRandom(seed);
      const model = createModel();
      let limit = 3;
      const take = async (waiter: Waiter) => {
        const caps = [{ name: "class:ubuntu-arm64", limit }];
        const request = { caps, ...waiter, provider: "ec2" as const, at: T0, ttlMs: 60_000 };
        const asked = test.ledger.takePlace(request);
        const expected = model.take(waiter, limit);
        const verdict = await asked;
        expect(verdict.granted ? 0 : verdict.ahead + 1).to.equal(expected);
      };
      const release = async (holder: string) => {
        const comesBack = random(2) === 0;
        const woken = await test.ledger.releasePlace(holder, T0, { comesBack });
        expect(woken.map((waiter) => waiter.holder)).to.deep.equal(model.release(holder, limit, comesBack));
      };
      const turn = async () => {
        const number = random(30);
        const holder = `h-${number}`;
        if (random(3) === 0) return release(holder);
        limit = 3 + random(2);
        // Several at once share a call, and are served as if each had come by itself.
        const numbers = [number, ...Array.from({ length: random(6) }, () => random(30))];
        await Promise.all(
          numbers.map((each) =>
            take({ holder: `h-${each}`, flow: `acme/${each % 4}`, rank: Number(each % 7 !== 0) }),
          ),
        );
      };
      for (let turns = 0; turns < 800; turns++) await turn();
    });
  }
});
