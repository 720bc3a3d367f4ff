import type { BucketLimit, Budget, Charge, ParallelLimit, Spending, WindowLimit } from "@grp/core";
import { expect } from "chai";
import { createBudget } from "./budget.ts";
import { createRandom, startLedger, T0, type TestLedger } from "./fixtures.ts";

const REQUESTS: BucketLimit = { kind: "bucket", name: "ec2:run", capacity: 5, perSecond: 2 };
const MACHINES: BucketLimit = { kind: "bucket", name: "ec2:machines", capacity: 100, perSecond: 2 };
const POINTS: WindowLimit = { kind: "window", name: "github:acme", most: 100, windowMs: 60_000 };

describe("the budget", () => {
  let test: TestLedger;
  let now: number;
  let budget: Budget;
  before(async () => {
    test = await startLedger();
  });
  after(() => test.stop());
  beforeEach(async () => {
    await test.redis.flushall();
    now = T0;
    budget = createBudget({ redis: test.redis, now: () => now });
  });

  const spend = (limit: Charge["limit"], cost: number, more: Omit<Spending, "ways"> = {}) =>
    budget.spend({ ways: [[{ limit, cost }]], ...more });
  const waitOf = async (...args: Parameters<typeof spend>) => {
    const verdict = await spend(...args);
    return verdict.granted ? 0 : verdict.waitMs;
  };
  const spendAll = async (everyMs: number) => {
    for (let call = 0; call < 20; call++, now += everyMs) await spend(POINTS, 5);
  };
  const turn = (member: string, order: number) => ({ turn: { member, order, patienceMs: 30_000 } });

  describe("of a bucket", () => {
    it("grants what is in it, says when there will be enough, and fills by the clock", async () => {
      for (let call = 0; call < 5; call++) expect(await waitOf(REQUESTS, 1)).to.equal(0);
      expect(await waitOf(REQUESTS, 1)).to.equal(500);
      expect(await waitOf(REQUESTS, 3)).to.equal(1_500);
      now += 500;
      expect(await waitOf(REQUESTS, 1)).to.equal(0);
      expect(await waitOf(REQUESTS, 1)).to.equal(500);
      now += 3_600_000;
      expect(await waitOf(REQUESTS, 5)).to.equal(0);
      expect(await waitOf(REQUESTS, 1)).to.equal(500);
    });

    it("lends what will be there soon, and says when to call", async () => {
      const afterOf = async (cost: number) => {
        const verdict = await spend(REQUESTS, cost, { holdMs: 2_000 });
        return verdict.granted ? verdict.afterMs : -verdict.waitMs;
      };
      expect(await afterOf(5)).to.equal(0);
      expect([await afterOf(1), await afterOf(1), await afterOf(2)]).to.deep.equal([500, 1_000, 2_000]);
      expect(await afterOf(1)).to.equal(-500);
      now += 500;
      expect(await afterOf(1)).to.equal(2_000);
    });

    it("takes from all limits or from none, and less where less will do", async () => {
      const charges = [
        { limit: REQUESTS, cost: 1 },
        { limit: MACHINES, cost: 80, least: 1 },
      ];
      expect(await budget.spend({ ways: [charges] })).to.deep.include({ granted: true, amount: 80 });
      expect(await budget.spend({ ways: [charges] })).to.deep.include({ granted: true, amount: 20 });
      expect(await budget.spend({ ways: [charges] })).to.deep.equal({
        granted: false,
        waitMs: 500,
        lacks: 1,
      });
      expect(await waitOf(REQUESTS, 3)).to.equal(0);
    });

    it("lends all at once to one who asks for it, and nobody has any until that is paid", async () => {
      const borrow = () => budget.spend({ ways: [[{ limit: MACHINES, cost: 80, borrow: true }]] });
      expect(await borrow()).to.deep.include({ granted: true, amount: 80, afterMs: 0 });
      expect(await borrow()).to.deep.include({ granted: true, amount: 80, afterMs: 30_000 });
      expect(await borrow()).to.deep.include({ granted: true, afterMs: 70_000 });
      expect(await waitOf(MACHINES, 1)).to.equal(70_500);
      await budget.slowDown([MACHINES], 1_000);
      now += 1_000;
      expect(await waitOf(MACHINES, 1)).to.equal(69_500);
    });

    it("has again what is refunded, and never more than it holds", async () => {
      await spend(MACHINES, 100);
      await budget.refund([{ limit: MACHINES, cost: 30 }], now);
      expect(await waitOf(MACHINES, 31)).to.equal(500);
      expect(await waitOf(MACHINES, 30)).to.equal(0);
      const charges = [
        { limit: MACHINES, cost: 1_000 },
        { limit: REQUESTS, cost: 1 },
      ];
      await budget.refund(charges, now);
      expect(await waitOf(MACHINES, 100)).to.equal(0);
      expect(await waitOf(REQUESTS, 5)).to.equal(0);
      expect(await waitOf(REQUESTS, 1)).to.equal(500);
    });

    it("stays as empty as the other side said it is, whatever was granted before and is refunded after", async () => {
      const spendAll = () => budget.spend({ ways: [[{ limit: MACHINES, cost: 100 }]] });
      const before = await spendAll();
      now += 10;
      await budget.slowDown([MACHINES], 0);
      await budget.refund([{ limit: MACHINES, cost: 100 }], before.granted ? before.at : 0);
      expect(await waitOf(MACHINES, 1)).to.equal(500);
      now += 3_600_000;
      const after = await spendAll();
      await budget.refund([{ limit: MACHINES, cost: 100 }], after.granted ? after.at : 0);
      expect(await waitOf(MACHINES, 100)).to.equal(0);
    });

    it("has no more of what was granted nobody knows when than has come in since it was empty", async () => {
      const borrow = { limit: MACHINES, cost: 100, borrow: true };
      await budget.spend({ ways: [[borrow]] });
      await budget.spend({ ways: [[borrow]] });
      now += 40_000;
      await budget.slowDown([MACHINES], 0);
      now += 15_000;
      // 90 before all that is left of the debt is paid.
      expect(await waitOf(MACHINES, 20)).to.equal(5_000);
      await budget.refund([{ limit: MACHINES, cost: 100 }]);
      expect(await waitOf(MACHINES, 31)).to.equal(500);
      expect(await waitOf(MACHINES, 30)).to.equal(0);
      await budget.refund([{ limit: MACHINES, cost: 10 }]);
      expect(await waitOf(MACHINES, 11)).to.equal(500);
    });

    describe("with a line", () => {
      const ask = async (member: string, order: number, machines = 1) => {
        const charges = [
          { limit: REQUESTS, cost: 1 },
          { limit: MACHINES, cost: machines, least: 1 },
        ];
        const verdict = await budget.spend({
          ways: [charges],
          turn: { member, order, patienceMs: 500, returnsMs: 600 },
        });
        return verdict.granted ? verdict.amount : -verdict.waitMs;
      };
      const empty = () => spend(REQUESTS, 5);

      it("serves it in its order, whoever asks first, and tells all when the next may go", async () => {
        await empty();
        expect([await ask("c", 3), await ask("a", 1), await ask("b", 2)]).to.deep.equal([-500, -500, -500]);
        now += 500;
        expect([await ask("c", 3), await ask("b", 2), await ask("a", 1)]).to.deep.equal([-500, -500, 1]);
        now += 500;
        expect([await ask("c", 3), await ask("b", 2)]).to.deep.equal([-500, 1]);
        now += 500;
        expect(await ask("c", 3)).to.equal(1);
      });

      it("keeps from nobody what is there for all", async () => {
        await empty();
        await ask("a", 1);
        now += 1_000;
        expect([await ask("b", 2), await ask("a", 1)]).to.deep.equal([1, 1]);
        expect(await ask("b", 2)).to.equal(-500);
      });

      it("leaves machines that are scarce to the first", async () => {
        await spend(MACHINES, 100);
        await ask("a", 1, 50);
        now += 900;
        expect(await ask("b", 2, 50)).to.equal(-500);
        expect(await ask("a", 1, 50)).to.equal(1);
      });

      it("goes on without who does not come back", async () => {
        await empty();
        await ask("a", 1);
        now += 500;
        expect(await ask("b", 2)).to.equal(-500);
        now += 500;
        expect(await ask("b", 2)).to.equal(1);
      });

      it("forgets who is not back in time, however much later its turn was", async () => {
        await spend(REQUESTS, 7, { holdMs: 1_000 });
        for (const order of [1, 2, 3]) expect(await ask(`${order}`, order)).to.equal(-1_500);
        now += 1_600;
        expect(await ask("h", 9)).to.equal(1);
      });
    });

    it("tells how long ago it was slowed down before, by whichever process", async () => {
      const another = createBudget({ redis: test.redis, now: () => now });
      expect(await budget.slowDown([REQUESTS], 1_000)).to.deep.equal({});
      now += 6_000;
      expect(await another.slowDown([REQUESTS], 1_000)).to.deep.equal({});
      now += 2_000;
      expect(await budget.slowDown([REQUESTS], 1_000)).to.deep.equal({ sinceMs: 2_000 });
    });
  });

  describe("of a window", () => {
    it("never grants more within any window, whatever the times", async () => {
      const random = createRandom(3);
      const granted: { at: number; cost: number }[] = [];
      for (let call = 0; call < 400; call++) {
        now += random(3_000);
        const cost = random(2) === 0 ? 1 : 5;
        if ((await waitOf(POINTS, cost)) === 0) granted.push({ at: now, cost });
      }
      const most = Math.max(
        ...granted.map(({ at }) =>
          granted
            .filter((other) => other.at > at - 60_000 && other.at <= at)
            .reduce((sum, { cost }) => sum + cost, 0),
        ),
      );
      expect(most).to.be.within(96, 100);
    });

    it("counts a call from its end, for only then it has been counted for certain", async () => {
      const charges = [{ limit: POINTS, cost: 100 }];
      const verdict = await budget.spend({ ways: [charges] });
      now += 7_000;
      await budget.giveBack(verdict.granted ? verdict.lease : "", { charges });
      expect(await waitOf(POINTS, 1)).to.equal(60_000);
    });

    it("grants at the time it told, and not before", async () => {
      for (let call = 0; call < 20; call++) {
        expect(await waitOf(POINTS, 5)).to.equal(0);
        now += 100;
      }
      const waitMs = await waitOf(POINTS, 5);
      expect(waitMs).to.equal(58_000);
      now += waitMs - 1;
      expect(await waitOf(POINTS, 5)).to.equal(1);
      now += 1;
      expect(await waitOf(POINTS, 5)).to.equal(0);
    });

    it("serves the line in its order, and tells each the time its place implies", async () => {
      await spendAll(1_000);
      const begun = now;
      const ask = (order: number) => waitOf(POINTS, 5, turn(`m${order}`, order));
      const orders = Array.from({ length: 45 }, (_, index) => index + 1);
      // From the back to the front: each stands before those that came earlier.
      for (const order of orders.toReversed()) await ask(order);
      const told: number[] = [];
      for (const order of orders) told[order] = await ask(order);
      expect([told[1], told[2], told[20]]).to.deep.equal([40_000, 41_000, 59_000]);
      expect([told[21], told[40], told[41]]).to.deep.equal([100_000, 119_000, 160_000]);
      for (const order of orders.slice(0, 20)) {
        now = begun + Number(told[order]);
        expect(await ask(99)).to.be.greaterThan(0);
        expect(await ask(order)).to.equal(0);
      }
    });

    it("tells those behind an empty window to wait for those ahead", async () => {
      for (let order = 0; order < 30; order++)
        await test.redis.zadd("{grp}:line:github:acme", order, `m${order}`);
      for (let order = 0; order < 30; order++)
        await test.redis.zadd("{grp}:line:github:acme:seen", now + 9_000, `m${order}`);
      expect(await waitOf(POINTS, 5, turn("last", 99))).to.equal(60_000);
      expect(await waitOf(POINTS, 5, turn("first", -1))).to.equal(0);
    });

    it("forgets those who do not come back, and then those behind go on", async () => {
      for (let call = 0; call < 20; call++) await spend(POINTS, 5);
      for (let order = 0; order < 20; order++) await spend(POINTS, 5, turn(`dead${order}`, order));
      expect(await waitOf(POINTS, 5, turn("m", 50))).to.equal(120_000);
      now += 60_000;
      expect(await waitOf(POINTS, 5, turn("m", 50))).to.be.greaterThan(0);
      now += 30_000;
      expect(await waitOf(POINTS, 5, turn("m", 50))).to.equal(0);
    });

    it("tells a place in line apart to the millisecond, whatever its priority adds", async () => {
      await spend(POINTS, 100);
      await spend(POINTS, 5, turn("second", 9_001_800_000_000_001));
      await spend(POINTS, 5, turn("first", 9_001_800_000_000_000));
      now += 60_000;
      await spend(POINTS, 95, turn("zero", 0));
      expect(await waitOf(POINTS, 5, turn("second", 9_001_800_000_000_001))).to.be.greaterThan(0);
      expect(await waitOf(POINTS, 5, turn("first", 9_001_800_000_000_000))).to.equal(0);
    });

    it("leaves room for the line: the rest has its share, and a small one while somebody waits", async () => {
      const background = { background: { share: 0.6, shareInLine: 0.1 } };
      for (let call = 0; call < 12; call++) expect(await waitOf(POINTS, 5, background)).to.equal(0);
      expect(await waitOf(POINTS, 5, background)).to.be.within(1, 5_000);
      for (let call = 0; call < 8; call++) expect(await waitOf(POINTS, 5)).to.equal(0);
      await spend(POINTS, 5, turn("m", 1));
      now += 60_000;
      expect(await waitOf(POINTS, 5, background)).to.equal(0);
      expect(await waitOf(POINTS, 5, background)).to.equal(0);
      expect(await waitOf(POINTS, 5, background)).to.be.greaterThan(0);
      expect(await waitOf(POINTS, 5, turn("m", 1))).to.equal(0);
      expect(await waitOf(POINTS, 5, background)).to.equal(0);
    });
  });

  describe("of a window whose other side counts an hour too", () => {
    const charges = [{ limit: POINTS, cost: 1 }];
    const resetInMs = 1_800_000;
    const mending = { background: { share: 0.6, shareInLine: 0.1 } };
    const work = { background: { ...mending.background, leaves: 0 } };
    const tell = async (left: number, more = {}) => {
      const verdict = await budget.spend({ ways: [charges] });
      const lease = verdict.granted ? verdict.lease : "";
      await budget.giveBack(lease, { charges, told: { left, resetInMs, ...more } });
    };

    for (const [how, more] of [
      ["it says of how many", { most: 5_000 }],
      ["only what was ever left can tell of how many", {}],
    ] as const)
      it(`leaves a quarter of it to those who wait, when ${how}`, async () => {
        await tell(5_000, more);
        await tell(1_251, more);
        expect(await waitOf(POINTS, 1, mending)).to.equal(0);
        expect(await waitOf(POINTS, 1, mending)).to.equal(resetInMs);
        expect(await waitOf(POINTS, 1, work)).to.equal(0);
        expect(await waitOf(POINTS, 5, turn("m", 1))).to.equal(0);
        now += resetInMs;
        expect(await waitOf(POINTS, 1, mending)).to.equal(0);
      });

    const leaveOf = async (side: Budget) => {
      const verdict = await side.spend({ ways: [charges] });
      return verdict.granted ? verdict.lease : verdict.waitMs;
    };
    const leavesOf = async (sides: readonly Budget[]) => {
      const leaves = await Promise.all(sides.map(leaveOf));
      return leaves.filter((leave) => typeof leave === "string");
    };
    const replicas = () => {
      const clients = [1, 2, 3].map(() => test.redis.duplicate());
      const budgets = clients.map((redis) => createBudget({ redis, now: () => now }));
      const sides = Array.from({ length: 30 }, (_, at) => budgets[at % 3] as Budget);
      return { sides, close: () => clients.forEach((client) => void client.disconnect()) };
    };

    it("loses nothing by calls that get no answer, however many, of however many processes", async () => {
      const { sides, close } = replicas();
      try {
        await tell(60);
        for (let round = 0; round < 10; round++, now += 61_000) {
          const leases = await leavesOf(sides);
          expect(leases).to.have.lengthOf(30);
          await Promise.all(leases.map((lease) => budget.giveBack(lease, { charges })));
        }
        expect((await test.ledger.listRateLimits(now))[0]).to.deep.include({ left: 60, pausedMs: 0 });
        expect(await waitOf(POINTS, 1)).to.equal(0);
      } finally {
        close();
      }
    });

    it("sends one alone to ask when little is left by its own count, again and again, and believes the answer", async () => {
      const { sides, close } = replicas();
      try {
        await tell(3);
        for (let round = 0; round < 3; round++) {
          const leases = await leavesOf(sides);
          expect(leases).to.have.lengthOf(3);
          expect(await waitOf(POINTS, 1)).to.equal(1_000);
          await Promise.all(leases.map((lease) => budget.giveBack(lease, { charges })));
        }
        const leases = await leavesOf(sides);
        for (const [at, lease] of leases.entries())
          await budget.giveBack(lease, { charges, told: { left: at, resetInMs } });
        expect(await leavesOf(sides)).to.deep.equal([]);
        expect(await waitOf(POINTS, 1)).to.equal(resetInMs);
        now += resetInMs;
        expect(await waitOf(POINTS, 1)).to.equal(0);
      } finally {
        close();
      }
    });

    it("goes on when those who went died on the way, and the one who asks hears that more is left", async () => {
      await tell(3);
      const asking = async () => {
        const leave = await leaveOf(budget);
        return typeof leave === "string" ? leave : "";
      };
      // None of these comes back; the last of them went to ask.
      for (let call = 0; call < 3; call++) expect(await asking()).not.to.equal("");
      now += 24_999;
      expect(await waitOf(POINTS, 1)).to.equal(1);
      now += 1;
      const lease = await asking();
      await budget.giveBack(lease, { charges, told: { left: 50, resetInMs: resetInMs - 25_000 } });
      for (let call = 0; call < 40; call++) expect(await waitOf(POINTS, 1)).to.equal(0);
    });

    it("never lets what looks for things to mend take the claims' part, however long it goes on", async () => {
      const limit: WindowLimit = { ...POINTS, most: 900 };
      const resetAt = now + 3_600_000;
      let left = 5_000;
      const call = async (cost: number, more: Omit<Spending, "ways">) => {
        const verdict = await spend(limit, cost, more);
        if (!verdict.granted) return verdict.waitMs;
        left -= 1;
        const told = { left, most: 5_000, resetInMs: resetAt - now };
        await budget.giveBack(verdict.lease, { charges: [{ limit, cost }], ...more, told });
        return 0;
      };
      for (let sweep = 0; sweep < 110; sweep++, now += 30_000) {
        for (let scope = 0; scope < 60; scope++) await call(1, mending);
        expect(await call(5, turn(`m${sweep}`, 1))).to.equal(0);
      }
    });
  });

  describe("of two windows that do as well as each other", () => {
    const [first, second] = ["app-1", "app-2"].map(
      (name): WindowLimit => ({ ...POINTS, name: `github:${name}`, line: "github:acme" }),
    ) as [WindowLimit, WindowLimit];
    const both = async (cost: number, more: Omit<Spending, "ways"> = {}) => {
      const verdict = await budget.spend({
        ways: [[{ limit: first, cost }], [{ limit: second, cost }]],
        ...more,
      });
      return verdict.granted ? `way ${verdict.way}` : verdict.waitMs;
    };

    it("takes from the one that has more left, until both are spent", async () => {
      await spend(first, 90);
      expect([await both(50), await both(50), await both(10)]).to.deep.equal(["way 1", "way 1", "way 0"]);
      expect(await both(1)).to.equal(60_000);
    });

    it("goes on with the other while one is paused, and tells when the first of them will do", async () => {
      await budget.slowDown([first], 20_000);
      expect([await both(50), await both(50)]).to.deep.equal(["way 1", "way 1"]);
      expect(await both(1)).to.equal(20_000);
      now += 20_000;
      expect(await both(1)).to.equal("way 0");
    });

    it("leaves the one alone of which the other side says that nothing is left, until it is filled again", async () => {
      const charges = [{ limit: first, cost: 5 }];
      const verdict = await budget.spend({ ways: [charges] });
      const lease = verdict.granted ? verdict.lease : "";
      await budget.giveBack(lease, { charges, told: { left: 2, resetInMs: 600_000 } });
      await budget.giveBack(lease, { charges, told: { left: 4, resetInMs: 600_500 } });
      await spend(second, 100);
      expect([await both(5), await both(5)]).to.deep.equal(["way 0", "way 0"]);
      const asked = { charges, told: { left: 0, resetInMs: 600_500 } };
      await budget.giveBack(lease, asked);
      expect(await both(5)).to.equal(60_000);
      expect(await waitOf(first, 5)).to.equal(600_500);
      const listed = await test.ledger.listRateLimits(now);
      const common = { limit: 100, windowMs: 60_000, waiting: 0 };
      expect(listed).to.deep.equal([
        { ...common, name: "github:app-1", used: 15, pausedMs: 600_500, left: 0, resetInMs: 600_500 },
        { ...common, name: "github:app-2", used: 100, pausedMs: 0 },
      ]);
      now += 600_500;
      expect(await waitOf(first, 5)).to.equal(0);
    });

    it("tells the first in line when a way will do, where one is paused and the other has all under way that it may", async () => {
      const [firstCalls, secondCalls] = [first, second].map(
        ({ name }): ParallelLimit => ({ kind: "parallel", name, most: 2, leaseMs: 25_000 }),
      ) as [ParallelLimit, ParallelLimit];
      const ways = [
        [
          { limit: firstCalls, cost: 1 },
          { limit: first, cost: 5 },
        ],
        [
          { limit: secondCalls, cost: 1 },
          { limit: second, cost: 5 },
        ],
      ];
      const ask = (order: number) => budget.spend({ ways, ...turn(`m${order}`, order) });
      await budget.slowDown([second], 60_000);
      for (let call = 0; call < 2; call++) await spend(firstCalls, 1);
      expect(await ask(1)).to.include({ granted: false, waitMs: 200 });
      await spend(first, 100);
      expect(await ask(1)).to.include({ granted: false, waitMs: 60_000 });
      now += 60_000;
      expect(await ask(1)).to.include({ granted: true });
    });

    it("has one line for both, and twice as many served in a window", async () => {
      for (let call = 0; call < 40; call++, now += 500) await both(5);
      const ask = (order: number) => both(5, turn(`m${order}`, order));
      const orders = Array.from({ length: 85 }, (_, index) => index + 1);
      for (const order of orders.toReversed()) await ask(order);
      const told = [1, 2, 40, 41, 80, 81];
      const waits = [];
      for (const order of told) waits.push(await ask(order));
      expect(waits).to.deep.equal([40_000, 40_500, 59_500, 100_000, 119_500, 160_000]);
      now += 40_000;
      expect(await ask(2)).to.be.a("number");
      expect(await ask(1)).to.equal("way 0");
      now += 500;
      expect(await ask(2)).to.equal("way 1");
    });
  });

  describe("of two windows that one call needs", () => {
    const runners = (place: string): WindowLimit => ({
      ...{
        kind: "window",
        name: `github:registrations:${place}`,
        most: 4,
        windowMs: 300_000,
        isUntold: true,
      },
    });
    const register = async (place: string, order: number) => {
      const charges = [
        { limit: runners(place), cost: 1 },
        { limit: POINTS, cost: 5 },
      ];
      const verdict = await budget.spend({ ways: [charges, charges], ...turn(`m${order}`, order) });
      if (!verdict.granted) return verdict.waitMs;
      await budget.giveBack(verdict.lease, { charges, told: { left: 50, resetInMs: 900_000 } });
      return 0;
    };

    it("lets those wait in the line of the one that is spent, oldest first, and in nobody else's way", async () => {
      for (let order = 1; order <= 4; order++, now += 1_000) expect(await register("a", order)).to.equal(0);
      expect(await register("a", 6)).to.equal(296_000);
      expect(await register("a", 5)).to.equal(296_000);
      expect(await register("a", 6)).to.equal(297_000);
      // Younger, and of another place.
      for (let order = 7; order <= 10; order++) expect(await register("b", order)).to.equal(0);
      now += 296_000;
      expect(await register("a", 6)).to.equal(1_000);
      expect(await register("a", 11)).to.equal(2_000);
      expect(await register("a", 5)).to.equal(0);
      now += 1_000;
      expect(await register("a", 6)).to.equal(0);
    });

    it("lets those wait in the line of the one that was slowed down, in nobody else's way, and shows it", async () => {
      expect(await register("a", 1)).to.equal(0);
      await budget.slowDown([runners("a")], 20_000);
      // Half of four, of which one is spent; in 150 s it rises to three.
      expect([await register("a", 2), await register("a", 3)]).to.deep.equal([20_000, 150_000]);
      expect(await register("b", 4)).to.equal(0);
      const shown = await test.ledger.listRateLimits(now);
      expect(shown.map(({ name, waiting, pausedMs }) => [name, waiting, pausedMs])).to.deep.equal([
        [POINTS.name, 0, 0],
        ["github:registrations:a", 2, 20_000],
      ]);
      now += 20_000;
      expect(await register("a", 2)).to.equal(0);
    });

    it("lets them wait in the other's line when that is spent, and hears of an hour only for that", async () => {
      await spend(POINTS, 95);
      expect(await register("a", 1)).to.equal(0);
      expect(await register("a", 2)).to.equal(60_000);
      expect(await register("b", 3)).to.equal(60_000);
      const [points] = await test.ledger.listRateLimits(now);
      expect(points).to.include({ name: POINTS.name, waiting: 2, left: 50 });
      now += 60_000;
      expect(await register("a", 2)).to.equal(0);
      const listed = (await test.ledger.listRateLimits(now)).map(({ name, left }) => [name, left]);
      expect(listed).to.deep.equal([
        [POINTS.name, 50],
        ["github:registrations:a", undefined],
      ]);
    });
  });

  it("counts what is under way until it is given back, or long over", async () => {
    const limit: ParallelLimit = { kind: "parallel", name: "github:acme", most: 2, leaseMs: 15_000 };
    const first = await spend(limit, 1);
    await spend(limit, 1);
    expect(await waitOf(limit, 1)).to.be.greaterThan(0);
    await budget.giveBack(first.granted ? first.lease : "", { charges: [{ limit, cost: 1 }] });
    expect(await waitOf(limit, 1)).to.equal(0);
    expect(await waitOf(limit, 1)).to.be.greaterThan(0);
    now += 15_000;
    expect(await waitOf(limit, 1)).to.equal(0);
  });

  it("pauses and slows down for everybody when it was too much all the same, and recovers", async () => {
    await spend(REQUESTS, 1);
    const another = createBudget({ redis: test.redis, now: () => now });
    for (const side of [budget, another]) await side.slowDown([REQUESTS, POINTS], 10_000);
    expect(await waitOf(REQUESTS, 1)).to.equal(10_000);
    expect(await waitOf(POINTS, 1)).to.equal(10_000);
    now += 10_000;
    expect(await waitOf(REQUESTS, 5)).to.equal(0);
    expect(await waitOf(POINTS, 50)).to.equal(0);
    expect(await waitOf(POINTS, 5)).to.be.greaterThan(0);
    now += 300_000;
    expect(await waitOf(POINTS, 100)).to.equal(0);
  });

  describe("of a window that was slowed down", () => {
    const ask = (order: number) => waitOf(POINTS, 5, turn(`m${order}`, order));

    it("tells those in line when the pause is over, as many as may go then, and the others a window later", async () => {
      for (let call = 0; call < 4; call++) await spend(POINTS, 5);
      await budget.slowDown([POINTS], 10_000);
      const told: number[] = [];
      for (let order = 1; order <= 11; order++) told.push(await ask(order));
      // Of the half that is left, 20 are used until a minute is over; by then it has risen by ten.
      expect(told.slice(0, 6)).to.deep.equal(Array(6).fill(10_000));
      expect(told[6]).to.be.within(30_000, 30_001);
      expect(told.slice(7)).to.deep.equal([60_000, 60_000, 60_000, 60_000]);
      now += 10_000;
      for (let order = 1; order <= 6; order++) expect(await ask(order)).to.equal(0);
      expect(await ask(7)).to.be.within(20_000, 20_001);
    });

    it("tells those in line when what was spent over the half is counted no more", async () => {
      await spendAll(1_000);
      await budget.slowDown([POINTS], 1_000);
      const told = [await ask(1), await ask(2)];
      // Of 100 that come free from 40 s on, and of five that it rises by, the first 50 are too many by now.
      expect(told).to.deep.equal([49_000, 50_000]);
      now += 48_999;
      expect(await ask(1)).to.equal(1);
      now += 1;
      expect([await ask(1), await ask(2)]).to.deep.equal([0, 1_000]);
    });

    it("tells when it has risen by enough, where that is before anything comes free", async () => {
      const hour: WindowLimit = { ...POINTS, windowMs: 3_600_000 };
      await spend(hour, 60);
      await budget.slowDown([hour], 60_000);
      // In 60 s it rises to the 60 that are spent, and by one more each 6 s.
      expect(await waitOf(hour, 1)).to.equal(66_000);
      now += 65_999;
      expect(await waitOf(hour, 1)).to.be.within(1, 2);
      now += 1;
      expect(await waitOf(hour, 1)).to.equal(0);
    });

    it("grants to the first in line at the time it told, and not long before, whatever was spent and refused", async () => {
      const random = createRandom(7);
      const spendSome = async () => {
        for (let call = random(25); call > 0; call--, now += random(4_000)) await spend(POINTS, 5);
        if (random(2) === 0) await budget.slowDown([POINTS], random(90_000));
      };
      let waited = 0;
      for (let round = 0; round < 40; round++, now += random(90_000)) {
        await spendSome();
        const waitMs = await ask(round);
        waited += Math.sign(waitMs);
        // It rises by what one of them costs in 30 s.
        const earlyMs = Math.min(waitMs, 30_001);
        now += waitMs - earlyMs;
        if (waitMs > earlyMs) expect(await ask(round), `early in round ${round}`).to.be.greaterThan(0);
        now += earlyMs;
        if (waitMs > 0) expect(await ask(round), `in round ${round}`).to.equal(0);
      }
      expect(waited).to.be.greaterThan(10);
    });
  });

  it("takes a bucket that was refused once for empty, and fills it half as fast when it is refused again within a minute", async () => {
    const refuse = () => budget.slowDown([REQUESTS], 2_500);
    await refuse();
    expect(await waitOf(REQUESTS, 1)).to.equal(2_500);
    now += 2_500;
    expect(await waitOf(REQUESTS, 5)).to.equal(0);
    expect(await waitOf(REQUESTS, 1)).to.equal(500);
    now += 60_000;
    await refuse();
    now += 10_000;
    await spend(REQUESTS, 5);
    expect(await waitOf(REQUESTS, 1)).to.equal(500);
    await refuse();
    now += 10_000;
    await spend(REQUESTS, 5);
    // Half of two a second, and a little more by now.
    expect(await waitOf(REQUESTS, 1)).to.be.within(950, 1_000);
    now += 300_000;
    await spend(REQUESTS, 5);
    expect(await waitOf(REQUESTS, 1)).to.equal(500);
  });

  it("is one for all processes, by Redis' own clock", async () => {
    const sides = [1, 2, 3].map(() => createBudget({ redis: test.redis }));
    const limit: WindowLimit = { ...POINTS, name: "github:other" };
    const all = await Promise.all(
      Array.from({ length: 90 }, (_, index) => sides[index % 3]?.spend({ ways: [[{ limit, cost: 5 }]] })),
    );
    expect(all.filter((verdict) => verdict?.granted)).to.have.length(20);
  });
});
