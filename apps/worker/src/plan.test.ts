import { type Plan, UnauthorizedError } from "@grp/core";
import { expect } from "chai";
import { provision } from "./provision.ts";
import { type Harness, makeDemand, makeWork, useHarness } from "./testing/harness.ts";

describe("planDemand", () => {
  let harness: Harness;
  useHarness((fresh) => {
    harness = fresh;
  });

  const dry = makeDemand({ key: "dry-delivery-1", dryRun: true });

  it("says what would be launched, and touches neither cloud nor caps nor supply", async () => {
    const outcome = await provision(harness, "ec2", dry, makeWork());
    const plan = (outcome as { result: Plan }).result;
    expect(plan.github.verdict).to.equal("allowed");
    expect(plan.offerings.map((offering) => offering.verdict)).to.deep.equal([
      "would-launch",
      "would-launch",
    ]);
    expect(await harness.ledger.getPlan(dry.key)).to.deep.equal(plan);
    expect(harness.ec2.machines).to.deep.equal([]);
    expect(await harness.ledger.listCaps()).to.deep.equal([]);
    expect(await harness.ledger.countByClass()).to.deep.equal([]);
  });

  it("says why not", async () => {
    harness.ec2.failNext("invalid-spec", { verb: "validate" });
    harness.ec2.failNext("transient", { verb: "validate" });
    harness.github.fail("checkRegistration", new UnauthorizedError("no administration permission"));
    const outcome = await provision(harness, "ec2", dry, makeWork());
    const plan = (outcome as { result: Plan }).result;
    expect(plan.github).to.deep.equal({ verdict: "refused", why: "no administration permission" });
    expect(plan.offerings.map((offering) => offering.verdict)).to.deep.equal(["refused", "not-checked"]);
  });

  it("asks again after the pause a provider asks for, but not for ever", async () => {
    harness.ec2.failNext("rate-limited", { verb: "validate" });
    const first = await provision(harness, "ec2", dry, makeWork());
    const verdicts = (outcome: unknown) =>
      (outcome as { result: Plan }).result.offerings.map(({ verdict }) => verdict);
    expect(verdicts(first)).to.deep.equal(["would-launch", "would-launch"]);
    harness.ec2.failNext("rate-limited", { verb: "validate", times: 3 });
    const second = await provision(harness, "ec2", dry, makeWork());
    expect(verdicts(second)).to.deep.equal(["not-checked", "would-launch"]);
  });

  it("plans a real demand too where the whole worker is dry", async () => {
    const demand = await harness.addDemand();
    await provision(harness.with({ dryRun: true }), "ec2", demand, makeWork());
    expect(harness.ec2.machines).to.deep.equal([]);
    expect(await harness.ledger.getPlan(demand.key)).to.have.property("runnerClass", "linux");
  });
});
