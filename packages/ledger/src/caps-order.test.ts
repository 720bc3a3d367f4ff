import { expect } from "chai";
import { createRandom, startLedger, T0, type TestLedger } from "./fixtures.ts";

interface Waiter {
  readonly holder: string;
  readonly order: number;
}

/** One cap as it ought to be: who holds, and who stands in line, by order and then by arrival. */
function createModel() {
  const held = new Set<string>();
  const known = new Map<string, Waiter & { readonly arrival: number }>();
  let arrivals = 0;
  const line = () =>
    [...known.values()]
      .filter((waiter) => !held.has(waiter.holder))
      .sort((a, b) => a.order - b.order || a.arrival - b.arrival);
  return {
    /** 0 when granted, else the place in the line from 1. */
    take(waiter: Waiter, limit: number): number {
      const { holder } = waiter;
      const { arrival } = known.get(holder) ?? { arrival: ++arrivals };
      known.set(holder, { ...waiter, arrival });
      if (held.has(holder)) return 0;
      const ahead = line().findIndex((other) => other.holder === holder);
      if (held.size + ahead >= limit) return ahead + 1;
      held.add(holder);
      return 0;
    },
    release(holder: string, limit: number): string[] {
      if (!known.delete(holder)) return [];
      held.delete(holder);
      const woken = line().slice(0, Math.max(0, limit - held.size));
      for (const waiter of woken) held.add(waiter.holder);
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
    it(`is served strictly in order and never above its limit, whatever comes (seed ${seed})`, async () => {
      const random = createRandom(seed);
      const model = createModel();
      let limit = 3;
      const take = async (waiter: Waiter) => {
        const caps = [{ name: "class:ubuntu-arm64", limit }];
        const request = { caps, ...waiter, provider: "ec2" as const, at: T0, ttlMs: 60_000 };
        const verdict = await test.ledger.takePlace(request);
        expect(verdict.granted ? 0 : verdict.ahead + 1).to.equal(model.take(waiter, limit));
      };
      const release = async (holder: string) => {
        const woken = await test.ledger.releasePlace(holder, T0);
        expect(woken.map((waiter) => waiter.holder)).to.deep.equal(model.release(holder, limit));
      };
      for (let turn = 0; turn < 800; turn++) {
        const holder = random(30);
        if (random(3) === 0) {
          await release(`h-${holder}`);
        } else {
          limit = 3 + random(2);
          await take({ holder: `h-${holder}`, order: T0 + (holder % 5) });
        }
      }
    });
  }
});
