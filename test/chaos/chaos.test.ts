import { expect } from "chai";
import { createPlan, FAULT_KINDS } from "./plan.ts";
import { runChaos } from "./run.ts";
import { findSecrets } from "./secrets.ts";

/** One with kills of every process, a frozen Redis and ingress, spoilt deliveries that one App may not read, and a clock ahead. */
const SEED = 419;

describe("chaos", function () {
  // A run takes half a minute, and on a machine that does much else several times that.
  this.timeout(180_000);

  it(`leaves every workflow job served, cancelled or told, nothing behind and no secret anywhere (SEED=${SEED})`, async () => {
    const report = await runChaos(createPlan(SEED));
    expect(report.violations).to.deep.equal([]);
    expect(report.served + report.cancelled + report.told).to.equal(report.jobs);
    expect(Object.keys(report.faults)).to.have.length.above(5);
  });

  it("is the same plan by the same seed, and comes to every kind of fault", () => {
    expect(createPlan(7)).to.deep.equal(createPlan(7));
    expect(createPlan(7)).to.not.deep.equal(createPlan(8));
    const plans = Array.from({ length: 100 }, (_, seed) => createPlan(seed));
    const kinds = new Set(plans.flatMap(({ faults }) => faults.map(({ kind }) => kind)));
    expect([...kinds]).to.have.members([...FAULT_KINDS]);
    expect(new Set(plans.map(({ as }) => as))).to.deep.equal(new Set(["token", "apps"]));
    expect(new Set(plans.map(({ clockAheadMs }) => clockAheadMs > 0))).to.deep.equal(new Set([false, true]));
    expect(new Set(plans.flatMap(({ jobs }) => jobs.map(({ repository }) => repository)))).to.have.property(
      "size",
      7,
    );
    const dooms = new Set(plans.map(({ doom }) => doom));
    expect(dooms).to.deep.equal(new Set([undefined, "no-image", "no-boot"]));
  });

  it("finds a secret wherever it stands, and a signature without knowing it", () => {
    const secrets = [{ name: "ticket", text: "grp1.abc" }];
    const texts = [
      { where: "a log", text: 'authorization: "Bearer grp1.abc"' },
      { where: "Redis", text: `sha256=${"0a".repeat(32)}` },
      { where: "a page", text: "nothing" },
    ];
    expect(findSecrets(secrets, texts)).to.deep.equal(["ticket in a log", "signature in Redis"]);
  });
});
