import type { Catalog, Demand } from "@grp/core";
import { expect } from "chai";
import { provision } from "./provision.ts";
import { CATALOG, type Harness, makeWork, useHarness } from "./testing/harness.ts";

/** CodeMagic was first; now EC2 is. */
const CHANGED: Catalog = {
  ...CATALOG,
  classes: CATALOG.classes.map((one) =>
    one.name === "mac" ? { ...one, offerings: one.offerings.toReversed() } : one,
  ),
};

describe("a demand that two providers' queues have, since its class changed between two deliveries", () => {
  let harness: Harness;
  useHarness((fresh) => {
    harness = fresh;
  });

  const run = (demand: Demand, provider: "ec2" | "codemagic", catalog = CHANGED) =>
    provision(harness.with({ catalog }), provider, demand, makeWork({ jobId: demand.key }));
  const machines = () => [harness.codemagic.machines.length, harness.ec2.machines.length];
  const usedOf = async (name: string) =>
    (await harness.ledger.listCaps()).find((cap) => cap.name === name)?.used;

  it("gets no second machine after the first queue's launch", async () => {
    const demand = await harness.addDemand({ runnerClass: "mac" });
    await run(demand, "codemagic", CATALOG);
    expect(await run(demand, "ec2")).to.have.nested.property("result.isRepeat", true);
    expect(machines()).to.deep.equal([1, 0]);
  });

  it("gets no second machine after the second queue's launch", async () => {
    const demand = await harness.addDemand({ runnerClass: "mac" });
    await run(demand, "ec2");
    for (const catalog of [CATALOG, CHANGED])
      expect(await run(demand, "codemagic", catalog)).to.have.nested.property("result.isRepeat", true);
    expect(machines()).to.deep.equal([0, 1]);
    expect(await usedOf("class:mac")).to.equal(1);
  });

  it("gets no second machine of another class", async () => {
    const demand = await harness.addDemand({ runnerClass: "mac" });
    await run({ ...demand, runnerClass: "linux" }, "ec2");
    await run(demand, "codemagic", CATALOG);
    expect(machines()).to.deep.equal([1, 0]);
  });

  it("gets no second machine while the first queue's launch has no answer", async () => {
    const demand = await harness.addDemand({ runnerClass: "mac" });
    harness.codemagic.loseNextResponse("launch");
    await run(demand, "codemagic", CATALOG).catch(() => undefined);
    harness.producer.inHand.add(`codemagic ${demand.key}`);
    expect(await run(demand, "ec2", CATALOG)).to.include({ kind: "wait" });
    harness.producer.inHand.clear();
    expect(await run(demand, "ec2", CATALOG)).to.have.nested.property("result.to", "codemagic");
    expect(machines()).to.deep.equal([1, 0]);
  });

  it("keeps its places while a worker of the queue that it would go to has it in hand", async () => {
    const demand = await harness.addDemand({ runnerClass: "mac" });
    const { launch } = harness.ec2;
    let wait: unknown;
    const holding = {
      ...harness.ec2,
      launch: async (...args: Parameters<typeof launch>) => {
        harness.producer.inHand.add(`ec2 ${demand.key}`);
        wait = await run(demand, "codemagic");
        expect(await usedOf("class:mac")).to.equal(1);
        harness.producer.inHand.clear();
        return launch(...args);
      },
    };
    const providers = new Map(harness.providers).set("ec2", holding);
    await provision(harness.with({ catalog: CHANGED, providers }), "ec2", demand, makeWork());
    expect(wait).to.include({ kind: "wait", why: "a worker of ec2 has it in hand" });
    expect(await usedOf("class:mac")).to.equal(1);
    expect(machines()).to.deep.equal([0, 1]);
  });
});
