import { expect } from "chai";
import { demand, order, startLedger, T0, type TestLedger } from "./fixtures.ts";
import type { Ledger } from "./types.ts";

const failure = {
  at: T0 + 5_000,
  errorClass: "invalid-spec",
  code: "InvalidAMIID.NotFound",
  message: "no such AMI",
};

describe("dead letters in the ledger", () => {
  let test: TestLedger;
  let ledger: Ledger;
  before(async () => {
    test = await startLedger();
    ledger = test.ledger;
  });
  beforeEach(() => test.redis.flushall());
  after(() => test.stop());

  const dead = async () => (await ledger.listDead(10)).map((record) => record.key);

  it("lists a demand that failed for good, once, with its reason", async () => {
    await ledger.recordQueued(demand(1));
    expect(await ledger.recordFailure("wfj-1", failure)).to.equal(true);
    expect(await ledger.recordFailure("wfj-1", { ...failure, at: T0 + 9_000 })).to.equal(false);
    const [record] = await ledger.listDead(10);
    expect(record).to.deep.include({ key: "wfj-1", demandState: "failed", failure });
    expect(record?.times.failed).to.equal(T0 + 5_000);
    expect(await ledger.listOpenDemands()).to.deep.equal([]);
    expect(await ledger.openLaunch(order([demand(1)]))).not.to.have.property("opened");
  });

  it("lists them page by page, newest first", async () => {
    for (const id of [1, 2, 3])
      await ledger.recordFailure(`wfj-${id}`, { ...failure, at: T0 + id, demand: demand(id) });
    const page = async (skip?: number) => (await ledger.listDead(2, skip)).map(({ key }) => key);
    expect(await page()).to.deep.equal(["wfj-3", "wfj-2"]);
    expect(await page(1)).to.deep.equal(["wfj-2", "wfj-1"]);
    expect(await page(3)).to.deep.equal([]);
  });

  it("keeps a demand that it never saw queued", async () => {
    expect(await ledger.recordFailure("wfj-1", { ...failure, demand: demand(1) })).to.equal(true);
    expect((await ledger.listDead(10))[0]?.demand).to.deep.equal(demand(1));
    expect(await ledger.recordFailure("wfj-2", failure)).to.equal(false);
  });

  it("takes no failure of a demand that was served or withdrawn", async () => {
    await ledger.recordQueued(demand(1));
    await ledger.recordInProgress({ workflowJobId: 1, at: T0, runnerName: "elsewhere" });
    expect(await ledger.recordFailure("wfj-1", failure)).to.equal(false);
    expect(await dead()).to.deep.equal([]);
  });

  it("strikes a dead letter that another runner served after all", async () => {
    await ledger.recordQueued(demand(1));
    await ledger.recordFailure("wfj-1", failure);
    await ledger.recordInProgress({ workflowJobId: 1, at: T0 + 9_000, runnerName: "elsewhere" });
    expect(await dead()).to.deep.equal([]);
    expect((await ledger.getWorkflowJob("wfj-1"))?.demandState).to.equal("served");
  });

  it("takes a dead letter back into demand", async () => {
    await ledger.recordQueued(demand(1));
    await ledger.recordFailure("wfj-1", failure);
    await ledger.recordQueued({ ...demand(1), generation: 4 });
    expect(await ledger.reviveDead("wfj-1")).to.deep.equal({ ...demand(1), generation: 4 });
    expect(await ledger.reviveDead("wfj-1")).to.equal("not-dead");
    const record = await ledger.getWorkflowJob("wfj-1");
    expect(record).not.to.have.property("failure");
    expect(record).to.have.property("revivedGeneration", 4);
    expect(record?.notes).to.deep.equal([{ at: T0, kind: "revived", text: "after: no such AMI" }]);
    expect(await ledger.listOpenDemands()).to.have.length(1);
    expect(await ledger.recordFailure("wfj-1", failure)).to.equal(true);
  });

  it("revives nothing that GitHub has ended meanwhile", async () => {
    await ledger.recordQueued(demand(1));
    await ledger.recordFailure("wfj-1", failure);
    await ledger.recordCompleted({ workflowJobId: 1, at: T0 + 9_000, conclusion: "cancelled" });
    expect(await dead()).to.deep.equal(["wfj-1"]);
    expect(await ledger.reviveDead("wfj-1")).to.equal("ended");
    expect(await dead()).to.deep.equal([]);
    expect(await ledger.listOpenDemands()).to.deep.equal([]);
  });

  it("takes a dismissed dead letter off the list", async () => {
    await ledger.recordQueued(demand(1));
    await ledger.recordFailure("wfj-1", failure);
    expect(await ledger.dismissDead("wfj-1", T0 + 9_000)).to.equal(true);
    expect(await ledger.dismissDead("wfj-1", T0 + 9_000)).to.equal(false);
    expect(await dead()).to.deep.equal([]);
    expect(await ledger.reviveDead("wfj-1")).to.equal("not-dead");
    expect((await ledger.getWorkflowJob("wfj-1"))?.demandState).to.equal("dismissed");
  });
});
