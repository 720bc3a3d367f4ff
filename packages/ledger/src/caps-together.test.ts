import { expect } from "chai";
import { createRandom, startLedger, T0, type TestLedger } from "./fixtures.ts";
import type { Cap } from "./types.ts";

const LIMITS = [
  ["repository:acme/0", 3],
  ["repository:acme/1", 4],
  ["owner:acme", 5],
  ["class:mac", 2],
  ["class:linux", 4],
  ["codemagic:team", 3],
] as const;

const HOLDERS = 40;

function capsOf(number: number): readonly Cap[] {
  const repository = `repository:acme/${number % 3}`;
  const wide = ["class:mac", "class:linux", "codemagic:team"][number % 4];
  const wanted = [
    repository,
    number % 5 === 0 ? "" : "owner:acme",
    wide,
    number % 8 === 0 ? "codemagic:team" : "",
  ];
  return LIMITS.flatMap(([name, limit]) => (wanted.includes(name) ? [{ name, limit }] : []));
}

const CAPS = new Map<string, readonly Cap[]>(
  Array.from({ length: HOLDERS }, (_none, number): [string, readonly Cap[]] => [
    `h-${number}`,
    capsOf(number),
  ]),
);

describe("several caps at once", () => {
  let test: TestLedger;
  before(async () => {
    test = await startLedger();
  });
  beforeEach(() => test.redis.flushall());
  after(() => test.stop());

  const take = async (holder: string) => {
    const number = Number(holder.slice(2));
    const caps = CAPS.get(holder) ?? [];
    const place = {
      flow: `acme/${number % 3}`,
      rank: number % 7 === 0 ? 0 : 1,
      provider: "ec2",
      at: T0,
    } as const;
    return [holder, await test.ledger.takePlace({ ...place, holder, caps, ttlMs: 60_000 })] as const;
  };

  /** Who holds what, and who stands where, as Redis has it. */
  const look = async () => {
    const state = LIMITS.map(async ([name, limit]) => ({
      name,
      limit,
      held: await test.redis.zrange(`{grp}:cap:${name}:held`, 0, "-1"),
      line: (await test.redis.zrange(`{grp}:cap:${name}:line`, 0, "-1")).map((member) => member.slice(17)),
    }));
    return Promise.all(state);
  };

  const check = async (granted: ReadonlySet<string>, waiting: ReadonlySet<string>) => {
    const state = await look();
    for (const { name, limit, held, line } of state) {
      expect(held.length, `${name} is over its limit`).to.be.at.most(limit);
      if (held.length < limit) expect(line, `${name} has room`).to.deep.equal([]);
      const holders = [...granted].filter((holder) => CAPS.get(holder)?.some((cap) => cap.name === name));
      const kept = held.filter((holder) => !holders.includes(holder));
      expect(held, `${name} is held by those who were granted it`).to.have.members([...holders, ...kept]);
      expect(kept.length, `${name} is kept for one`).to.be.at.most(1);
      for (const holder of kept) {
        const names = CAPS.get(holder)?.map((cap) => cap.name) ?? [];
        const waitsAt = state.find(({ line: members }) => members.includes(holder))?.name ?? "";
        expect(names.indexOf(waitsAt), `${holder} keeps ${name}`).to.be.greaterThan(names.indexOf(name));
      }
    }
    const inLine = state.flatMap(({ line }) => line);
    expect(inLine, "each waiter stands in one line").to.have.members([...waiting]);
    const verdicts = state.flatMap(({ name: cap, line }) =>
      line.map((holder, ahead) => [holder, { granted: false, cap, ahead }] as const),
    );
    return new Map(verdicts);
  };

  for (const seed of [1, 2, 3, 4, 5, 6]) {
    it(`are held all or none, within the limits, and no room is left to who could use it (seed ${seed})`, async () => {
      const random = createRandom(seed);
      const [granted, waiting] = [new Set<string>(), new Set<string>()];
      const ask = async (holder: string) => {
        const [, verdict] = await take(holder);
        if (granted.has(holder)) expect(verdict).to.deep.equal({ granted: true });
        const [its, others] = verdict.granted ? [granted, waiting] : [waiting, granted];
        its.add(holder);
        others.delete(holder);
        const line = await check(granted, waiting);
        expect(verdict).to.deep.equal(line.get(holder) ?? { granted: true });
      };
      const release = async (holder: string) => {
        const woken = await test.ledger.releasePlace(holder, T0, { comesBack: random(2) === 0 });
        granted.delete(holder);
        waiting.delete(holder);
        for (const one of woken) {
          expect(waiting.delete(one.holder), `${one.holder} was woken while it waited`).to.equal(true);
          granted.add(one.holder);
        }
        await check(granted, waiting);
      };
      for (let turns = 0; turns < 400; turns++) {
        const holder = `h-${random(HOLDERS)}`;
        await (random(5) < 2 ? release(holder) : ask(holder));
      }
      for (let holder = [...granted][0]; holder; holder = [...granted][0]) await release(holder);
      expect([...waiting]).to.deep.equal([]);
    });
  }

  it("are granted to many that ask in one call as if each had come by itself", async () => {
    const verdicts = await Promise.all([...CAPS.keys()].map(take));
    const granted = verdicts.flatMap(([holder, verdict]) => (verdict.granted ? [holder] : []));
    const waiting = verdicts.flatMap(([holder, verdict]) => (verdict.granted ? [] : [holder]));
    await check(new Set(granted), new Set(waiting));
    await test.redis.flushall();
    const alone = [];
    for (const holder of CAPS.keys()) alone.push(await take(holder));
    expect(verdicts).to.deep.equal(alone);
  });
});
