import { expect } from "chai";
import { listLiveRegions } from "./live-places.ts";
import { provision } from "./provision.ts";
import { type Harness, makeWork, startHarness } from "./testing/harness.ts";

describe("listLiveRegions", () => {
  let server: Awaited<ReturnType<typeof startHarness>>;
  let harness: Harness;
  before(async () => {
    server = await startHarness();
  });
  after(() => server.stop());
  beforeEach(async () => {
    harness = await server.create();
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
