import { expect } from "chai";
import { WAITER_TTL_MS } from "./fair-queueing.ts";
import { startLedger, T0, type TestLedger } from "./fixtures.ts";
import type { Cap, Ledger } from "./types.ts";

const ttlMs = 3_600_000;
const cap = (limit: number, name = "class:ubuntu-arm64"): Cap => ({ name, limit });

describe("caps in the ledger", () => {
  let test: TestLedger;
  let ledger: Ledger;
  before(async () => {
    test = await startLedger();
    ledger = test.ledger;
  });
  beforeEach(() => test.redis.flushall());
  after(() => test.stop());

  const take = (
    holder: string,
    caps: readonly Cap[],
    changes: { flow?: string; rank?: number; at?: number } = {},
  ) =>
    ledger.takePlace({ caps, holder, provider: "ec2", flow: "acme/app", rank: 0, at: T0, ttlMs, ...changes });
  const release = async (holder: string, at = T0) =>
    (await ledger.releasePlace(holder, at)).map((waiter) => waiter.holder);

  it("grants up to the limit and lines up the rest", async () => {
    expect(await take("a", [cap(2)])).to.deep.equal({ granted: true });
    expect(await take("b", [cap(2)])).to.deep.equal({ granted: true });
    expect(await take("c", [cap(2)])).to.deep.equal({ granted: false, cap: "class:ubuntu-arm64", ahead: 0 });
    expect(await take("d", [cap(2)])).to.deep.equal({ granted: false, cap: "class:ubuntu-arm64", ahead: 1 });
    for (const holder of ["a", "b"]) expect(await take(holder, [cap(2)])).to.deep.equal({ granted: true });
    expect(await take("c", [cap(2)])).to.include({ ahead: 0 });
    expect(await ledger.listCaps()).to.deep.equal([
      { name: "class:ubuntu-arm64", limit: 2, used: 2, waiting: 2 },
    ]);
  });

  it("grants many that ask at once no more than each cap has, the narrow and the wide, and lines up the rest in order", async () => {
    const asked = Array.from({ length: 260 }, (_none, at) => {
      const flow = at % 2 === 0 ? "acme/even" : "acme/odd";
      return take(`h-${at}`, [cap(20, `repository:${flow}`), cap(30)], { flow });
    });
    const verdicts = await Promise.all(asked);
    expect(verdicts.flatMap((verdict, at) => (verdict.granted ? [at] : []))).to.deep.equal([
      ...Array.from({ length: 30 }, (_none, at) => at),
    ]);
    const line = verdicts.flatMap((verdict) =>
      verdict.granted ? [] : [[verdict.cap, verdict.ahead] as const],
    );
    expect(line).to.deep.equal(Array.from({ length: 230 }, (_none, at) => ["class:ubuntu-arm64", at]));
    const used = new Map((await ledger.listCaps()).map((one) => [one.name, one.used]));
    expect([...used].sort()).to.deep.equal([
      ["class:ubuntu-arm64", 30],
      ["repository:acme/even", 15],
      ["repository:acme/odd", 15],
    ]);
    expect(await release("h-0")).to.deep.equal(["h-30"]);
  });

  it("hands a place to the head of the line, and nobody overtakes on the way", async () => {
    await take("a", [cap(1)]);
    await take("late", [cap(1)], { rank: 2 });
    await take("early", [cap(1)], { rank: 1 });
    expect(await ledger.releasePlace("a", T0)).to.deep.equal([{ holder: "early", provider: "ec2" }]);
    expect(await take("first-ever", [cap(1)])).to.include({ granted: false });
    expect(await take("late", [cap(1)], { rank: 2 })).to.include({ granted: false });
    expect(await take("early", [cap(1)], { rank: 1 })).to.deep.equal({ granted: true });
  });

  it("serves one repository's single job in its turn, however many of another wait", async () => {
    for (let job = 0; job < 50; job++) await take(`many-${job}`, [cap(4)], { flow: "acme/monorepo" });
    for (let job = 0; job < 3; job++) await take(`few-${job}`, [cap(4)], { flow: "acme/small" });
    const served: string[] = [];
    for (let place = 0; place < 8; place++) served.push(...(await release(`many-${place}`)));
    expect(served).to.deep.equal([
      ...["many-4", "few-0", "many-5", "few-1", "many-6", "few-2", "many-7", "many-8"],
    ]);
  });

  it("saves up no turns for who was idle, and takes none from who was cancelled", async () => {
    for (let job = 0; job < 20; job++) await take(`a-${job}`, [cap(1)], { flow: "a" });
    for (let job = 0; job < 10; job++) expect(await release(`a-${job}`)).to.deep.equal([`a-${job + 1}`]);
    for (let job = 0; job < 3; job++) await take(`b-${job}`, [cap(1)], { flow: "b" });
    expect(await release("a-10")).to.deep.equal(["a-11"]);
    expect(await release("a-11")).to.deep.equal(["b-0"]);
    for (let job = 12; job < 20; job++) await release(`a-${job}`);
    await take("a-new", [cap(1)], { flow: "a" });
    const served: string[] = [];
    for (let holder = "b-0"; served.length < 3; holder = served.at(-1) ?? "")
      served.push(...(await release(holder)));
    expect(served.indexOf("a-new")).to.be.at.most(1);
  });

  it("finds the turn of one who gave its place back and comes again, as it was", async () => {
    await take("a", [cap(1)]);
    for (const holder of ["b", "c", "d"]) await take(holder, [cap(1)]);
    await ledger.releasePlace("a", T0, { comesBack: true });
    await ledger.releasePlace("c", T0, { comesBack: true });
    await take("c", [cap(1)]);
    await take("a", [cap(1)]);
    const served: string[] = [];
    for (let holder = "b"; served.length < 3; holder = served.at(-1) ?? "")
      served.push(...(await release(holder)));
    expect(served).to.deep.equal(["a", "c", "d"]);
  });

  it("finds it so also after it held places elsewhere in between", async () => {
    const [all, team] = [cap(9), cap(1, "codemagic:default")];
    await take("first", [all, team]);
    await take("away", [all, team]);
    await ledger.releasePlace("away", T0, { comesBack: true });
    await take("away", [all]);
    await ledger.releasePlace("away", T0, { comesBack: true });
    for (const [next, before] of [
      ["second", "first"],
      ["third", "second"],
      ["fourth", "third"],
    ] as const) {
      await take(next, [all, team], { flow: `acme/${next}` });
      expect(await release(before)).to.deep.equal([next]);
    }
    await take("newer", [all, team], { flow: "acme/newer" });
    expect(await take("away", [all, team])).to.include({ ahead: 0 });
    expect(await release("fourth")).to.deep.equal(["away"]);
  });

  it("forgets a repository's cap that nobody uses", async () => {
    await take("a", [cap(1, "repository:acme/app"), cap(5)]);
    await release("a");
    expect((await ledger.listCaps()).map(({ name }) => name)).to.deep.equal(["class:ubuntu-arm64"]);
  });

  it("lets equal turns in by arrival", async () => {
    await take("z", [cap(1)]);
    for (const holder of ["y", "c", "x", "b"]) await take(holder, [cap(1)]);
    const served: string[] = [];
    for (let holder = "z"; holder; holder = served.at(-1) === holder ? "" : (served.at(-1) ?? "")) {
      served.push(...(await release(holder)));
    }
    expect(served).to.deep.equal(["y", "c", "x", "b"]);
  });

  it("takes a place away from nobody when it is released twice or was never taken", async () => {
    await take("a", [cap(1)]);
    for (const holder of ["b", "c"]) await take(holder, [cap(1)]);
    expect(await release("a")).to.deep.equal(["b"]);
    expect(await release("a")).to.deep.equal([]);
    expect(await release("nobody")).to.deep.equal([]);
    expect(await take("c", [cap(1)])).to.include({ granted: false });
  });

  it("lets a waiter leave the line, and the next move up", async () => {
    await take("a", [cap(1)]);
    for (const holder of ["b", "c"]) await take(holder, [cap(1)]);
    expect(await release("b")).to.deep.equal([]);
    expect(await release("a")).to.deep.equal(["c"]);
    expect(await ledger.listCaps()).to.deep.include({
      name: "class:ubuntu-arm64",
      limit: 1,
      used: 1,
      waiting: 0,
    });
  });

  it("keeps no place under one cap while waiting for the next", async () => {
    const team = cap(1, "codemagic:team");
    await take("mac", [team]);
    expect(await take("a", [cap(1), team])).to.deep.equal({
      granted: false,
      cap: "codemagic:team",
      ahead: 0,
    });
    expect(await take("b", [cap(1), team])).to.include({ cap: "codemagic:team", ahead: 1 });
    expect(await take("linux", [cap(1)])).to.deep.equal({ granted: true });
    await release("linux");
    expect(await release("mac")).to.deep.equal(["a"]);
    expect(await release("a")).to.deep.equal(["b"]);
    expect(await take("b", [cap(1), team])).to.deep.equal({ granted: true });
  });

  it("grants the owner's and repository's other classes while one class is full", async () => {
    const owner = cap(20, "owner:acme");
    const mac = [cap(20, "repository:acme/a"), owner, cap(2, "class:mac")];
    for (let job = 0; job < 30; job++) await take(`mac-${job}`, mac, { flow: "acme/a" });
    const used = Object.fromEntries((await ledger.listCaps()).map((one) => [one.name, one.used]));
    expect(used).to.deep.equal({ "repository:acme/a": 2, "owner:acme": 2, "class:mac": 2 });
    const ubuntu = cap(100, "class:ubuntu");
    for (const flow of ["acme/a", "acme/b"])
      expect(
        await take(`ubuntu-${flow}`, [cap(20, `repository:${flow}`), owner, ubuntu], { flow, rank: 50 }),
      ).to.deep.equal({ granted: true });
    expect(await release("mac-0")).to.deep.equal(["mac-2"]);
  });

  it("moves the head of a line that another cap refuses there, lets the next in, and gives it its turn when both are free", async () => {
    const [owner, mac] = [cap(1, "owner:acme"), cap(1, "class:mac")];
    await take("linux", [owner]);
    await take("other", [mac]);
    expect(await take("both", [owner, mac])).to.include({ cap: "owner:acme", ahead: 0 });
    for (const next of ["linux-2", "linux-3"]) await take(next, [owner]);
    expect(await release("linux")).to.deep.equal(["linux-2"]);
    expect(await take("other-2", [mac])).to.include({ cap: "class:mac", ahead: 1 });
    expect(await release("other")).to.deep.equal(["other-2"]);
    expect(await take("both", [owner, mac])).to.include({ cap: "owner:acme", ahead: 0 });
    await take("other-3", [mac]);
    await release("other-2");
    await release("other-3");
    expect(await release("linux-2")).to.deep.equal(["both"]);
    expect(await release("both")).to.deep.equal(["linux-3"]);
  });

  it("gives one its turn whose cap was forgotten while it stood in another's line", async () => {
    const caps = [cap(1, "repository:acme/app"), cap(1, "class:mac")];
    await take("other", [cap(1, "class:mac")]);
    for (const holder of ["a", "b"]) await take(holder, caps);
    await take("same", [cap(1, "repository:acme/app")]);
    await release("same");
    expect((await ledger.listCaps()).map(({ name }) => name)).to.deep.equal(["class:mac"]);
    expect(await release("other")).to.deep.equal(["a"]);
    expect(await release("a")).to.deep.equal(["b"]);
  });

  it("wakes nobody who must go on waiting under the next cap, and lets those pass who need not", async () => {
    const team = cap(1, "codemagic:team");
    await take("mac", [team]);
    await take("a", [cap(1)]);
    await take("b", [cap(1), team]);
    await take("c", [cap(2)]);
    expect(await release("a")).to.deep.equal(["c"]);
    expect(await take("b", [cap(2), team])).to.include({ cap: "codemagic:team" });
    expect(await take("c", [cap(2)])).to.deep.equal({ granted: true });
    expect(await release("mac")).to.deep.equal(["b"]);
  });

  it("follows limits that the configuration raises or lowers", async () => {
    for (const holder of ["a", "b", "c", "d"]) await take(holder, [cap(2)]);
    expect(await take("c", [cap(3)])).to.deep.equal({ granted: true });
    expect(await take("d", [cap(1)])).to.include({ granted: false });
    expect(await release("a")).to.deep.equal([]);
    expect(await release("b")).to.deep.equal([]);
    expect(await release("c")).to.deep.equal(["d"]);
  });

  it("keeps a raised limit's new places for those in line", async () => {
    for (const holder of ["a", "b", "c"]) await take(holder, [cap(1)]);
    expect(await take("new", [cap(2)])).to.deep.equal({
      granted: false,
      cap: "class:ubuntu-arm64",
      ahead: 2,
    });
    expect(await take("c", [cap(2)])).to.include({ granted: false, ahead: 1 });
    expect(await take("b", [cap(2)])).to.deep.equal({ granted: true });
  });

  it("frees a place left behind after its time", async () => {
    await take("a", [cap(1)]);
    expect(await take("b", [cap(1)], { at: T0 + ttlMs - 1 })).to.include({ granted: false });
    expect(await take("b", [cap(1)], { at: T0 + ttlMs })).to.deep.equal({ granted: true });
  });

  it("lets a place live on from each time it is asked for", async () => {
    await take("a", [cap(1)]);
    await take("a", [cap(1)], { at: T0 + ttlMs / 2 });
    expect(await take("b", [cap(1)], { at: T0 + ttlMs })).to.include({ granted: false });
  });

  it("passes over a waiter that never comes back, granted or in line", async () => {
    await take("a", [cap(1)]);
    for (const holder of ["dead", "dead-too", "b"]) await take(holder, [cap(1)]);
    expect(await release("a")).to.deep.equal(["dead"]);
    const later = T0 + WAITER_TTL_MS;
    expect(await take("b", [cap(1)], { at: later })).to.deep.equal({ granted: true });
    expect(await take("dead", [cap(1)], { at: later })).to.include({ granted: false, ahead: 0 });
  });

  it("understands places that an earlier version wrote, without their limits", async () => {
    await take("a", [cap(1)]);
    await take("b", [cap(1)]);
    for (const holder of ["a", "b"]) await test.redis.hdel(`{grp}:place:${holder}`, "limits");
    expect(await release("a")).to.deep.equal(["b"]);
    expect(await take("b", [cap(1)])).to.deep.equal({ granted: true });
  });

  it("lists everybody who holds a place or stands in a line, once", async () => {
    for (const holder of ["a", "b"]) await take(holder, [cap(1), cap(5, "codemagic:team")]);
    expect(await ledger.listPlaceHolders()).to.deep.equal([
      { holder: "a", provider: "ec2" },
      { holder: "b", provider: "ec2" },
    ]);
    for (const holder of ["a", "b"]) await release(holder);
    expect(await ledger.listPlaceHolders()).to.deep.equal([]);
  });

  it("never holds more than the limit and serves everybody under fifty at once from several processes", async () => {
    const processes = Array.from({ length: 5 }, () => test.another());
    const team = cap(4, "codemagic:team");
    const holders = Array.from({ length: 50 }, (_, index) => `h-${index}`);
    const capsOf = (index: number) => (index % 2 ? [cap(6), team] : [cap(6)]);
    const request = (index: number) => ({
      caps: capsOf(index),
      holder: `h-${index}`,
      flow: `acme/${index % 7}`,
      rank: index % 3,
    });
    const common = { provider: "ec2", at: T0, ttlMs } as const;
    const ask = (index: number) => processes[index % 5]?.takePlace({ ...request(index), ...common });
    const verdicts = await Promise.all(holders.map((_holder, index) => ask(index)));
    let holding = holders.filter((_holder, index) => verdicts[index]?.granted);
    const served = new Set(holding);
    while (holding.length > 0) {
      for (const { used, limit } of await ledger.listCaps()) expect(used).to.be.at.most(limit);
      const woken = await Promise.all(
        holding.map((holder, index) => processes[index % 5]?.releasePlace(holder, T0)),
      );
      holding = woken.flatMap((waiters) => waiters ?? []).map((waiter) => waiter.holder);
      for (const holder of holding) {
        expect(served.has(holder)).to.equal(false);
        served.add(holder);
        expect(await ask(Number(holder.slice(2)))).to.deep.equal({ granted: true });
      }
    }
    expect(served.size).to.equal(50);
    const left = await test.redis.keys("*");
    expect(left).to.have.members(["{grp}:caps", "{grp}:arrivals"]);
  });

  it("forgets a cap that is told to be gone, unless somebody holds or waits for it", async () => {
    const names = async () => (await ledger.listCaps()).map(({ name }) => name);
    const one = cap(1, "class:one");
    await take("a", [one]);
    await take("b", [one]);
    await ledger.forgetCap("class:one");
    await release("a");
    await ledger.forgetCap("class:one");
    expect(await names()).to.deep.equal(["class:one"]);
    await release("b");
    expect(await names()).to.deep.equal(["class:one"]);
    await ledger.forgetCap("class:one");
    expect(await names()).to.deep.equal([]);
    expect((await test.redis.keys("*cap*")).sort()).to.deep.equal([]);
  });
});
