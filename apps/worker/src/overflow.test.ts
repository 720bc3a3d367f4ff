import { type Demand, NoCapacityError, type ProviderName } from "@grp/core";
import { expect } from "chai";
import { releasePlace } from "./places.ts";
import { provision } from "./provision.ts";
import { type Harness, makeWork, useHarness } from "./testing/harness.ts";

describe("a full CodeMagic team", () => {
  let harness: Harness;
  let first: Demand;
  let second: Demand;
  useHarness((fresh) => {
    harness = fresh;
  });
  beforeEach(async () => {
    first = await harness.addDemand({ runnerClass: "mac" });
    second = await harness.addDemand({ runnerClass: "mac" });
    await run(first, "codemagic");
  });

  const run = (demand: Demand, provider: ProviderName) =>
    provision(harness, provider, demand, makeWork({ jobId: demand.key }));
  /** What its queue job does wherever the last try has handed it to. */
  const follow = async () => {
    const [next] = harness.producer.demands.splice(0);
    if (!next) throw new Error("it was handed to nobody");
    return run(next.demand, next.provider);
  };
  const capOf = async (name: string) => {
    const cap = (await harness.ledger.listCaps()).find((one) => one.name === name);
    return [cap?.used, cap?.waiting];
  };
  const handedTo = (to: ProviderName, offeringIndex: number) => ({
    kind: "done",
    result: { outcome: "handed-over", to, offeringIndex },
  });

  it("leaves a workflow job to the class's next provider, which has it neither place nor turn in the team's line", async () => {
    expect(await run(second, "codemagic")).to.deep.equal(handedTo("ec2", 1));
    expect(await follow()).to.have.nested.property("result.outcome", "launched");
    expect(harness.ec2.machines).to.have.length(1);
    expect(await capOf("codemagic:default")).to.deep.equal([1, 0]);
    expect(await capOf("class:mac")).to.deep.equal([2, 0]);
  });

  for (const [what, error] of [
    ["room", new NoCapacityError("full")],
    ["host", new NoCapacityError("scrubbed", { waitsForHost: true })],
  ] as const)
    it(`has it back in line where there is no ${what} either, and lets it ask there again after a while`, async () => {
      await run(second, "codemagic");
      harness.ec2.failNext(error, { verb: "launch" });
      expect(await follow()).to.deep.equal(handedTo("codemagic", 0));
      const waits = { kind: "wait", why: "cap codemagic:default (0 ahead)" };
      expect(await follow()).to.include(waits);
      expect(await capOf("codemagic:default")).to.deep.equal([1, 1]);
      expect(await capOf("class:mac")).to.deep.equal([1, 0]);
      harness.clock.now += 14 * 60_000;
      expect(await run(second, "codemagic")).to.include(waits);
      harness.clock.now += 60_000;
      expect(await run(second, "codemagic")).to.deep.equal(handedTo("ec2", 1));
      expect(await follow()).to.have.nested.property("result.outcome", "launched");
      expect(await capOf("codemagic:default")).to.deep.equal([1, 0]);
    });

  it("gives it the next place that is free there", async () => {
    harness.ec2.failNext("no-capacity", { verb: "launch" });
    await run(second, "codemagic");
    await follow();
    await follow();
    await releasePlace(harness, first.key);
    expect(harness.producer.woken).to.deep.equal([second.key]);
    expect(await run(second, "codemagic")).to.have.nested.property("result.outcome", "launched");
  });

  it("is asked once more, not round and round, when it has room again and CodeMagic refuses", async () => {
    await run(second, "codemagic");
    harness.ec2.failNext("no-capacity", { verb: "launch", times: 2 });
    await follow();
    await releasePlace(harness, first.key);
    harness.codemagic.failNext("no-capacity", { verb: "launch" });
    expect(await follow()).to.deep.equal(handedTo("ec2", 1));
    const error = await follow().catch((thrown: Error) => thrown);
    expect(error).to.have.property("errorClass", "no-capacity");
  });

  it("keeps it in line where the class has no other provider's offering after it, or its own limit is reached", async () => {
    const more = [];
    while (more.length < 3) more.push(await harness.addDemand({ runnerClass: "mac" }));
    for (const demand of more) {
      await run(demand, "codemagic");
      await follow();
    }
    expect(await run(second, "codemagic")).to.include({ kind: "wait", why: "cap class:mac (0 ahead)" });
    const alone = harness.catalog.classes.map((one) => ({ ...one, offerings: one.offerings.slice(0, 1) }));
    const context = harness.with({
      catalog: { ...harness.catalog, classes: alone as typeof harness.catalog.classes },
    });
    await releasePlace(harness, (more[0] as Demand).key);
    expect(await provision(context, "codemagic", second, makeWork())).to.include({ kind: "wait" });
    expect(harness.producer.demands).to.deep.equal([]);
  });
});
