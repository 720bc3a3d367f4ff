import { expect } from "chai";
import { listLiveRegions } from "./live-places.ts";
import { provision } from "./provision.ts";
import { type Harness, makeWork, useHarness } from "./testing/harness.ts";

describe("listLiveRegions", () => {
  let harness: Harness;
  useHarness((fresh) => {
    harness = fresh;
  });

  it("names the regions of live EC2 machines, each once", async () => {
    expect(await listLiveRegions(harness.ledger)).to.deep.equal([]);
    for (let count = 0; count < 2; count++)
      await provision(harness, "ec2", await harness.addDemand(), makeWork());
    const [runner, other] = await harness.ledger.listLiveRunners();
    expect(await listLiveRegions(harness.ledger)).to.deep.equal(["us-east-1"]);
    for (const one of [runner, other])
      await harness.ledger.recordStep(one?.runnerName ?? "", "gone", harness.clock.now);
    expect(await listLiveRegions(harness.ledger)).to.deep.equal([]);
  });
});
