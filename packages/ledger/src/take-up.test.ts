import { expect } from "chai";
import { demand, launchOne, order, startLedger, T0, type TestLedger } from "./fixtures.ts";

describe("demands taken up", () => {
  let test: TestLedger;
  before(async () => {
    test = await startLedger();
  });
  after(() => test.stop());
  beforeEach(() => test.redis.flushall());

  it("are recorded when the ledger missed them, and count as demand", async () => {
    const standing = await test.ledger.takeUp(demand(1));
    expect(standing).to.deep.equal({
      demandState: "waiting",
      isCovered: false,
      launchIds: [],
      notes: [],
    });
    expect((await test.ledger.getWorkflowJob("wfj-1"))?.demand).to.deep.equal(demand(1));
    expect(await test.ledger.countByClass()).to.have.nested.property("[0].demand", 1);
  });

  it("tell what was tried, what is waited for and what was noted", async () => {
    const { launchId } = await launchOne(test.ledger, 1, "i-1");
    await test.ledger.recordQueued(demand(2));
    const note = { at: T0, kind: "no-capacity", text: "full" };
    await test.ledger.addNote("wfj-1", note);
    await test.ledger.setWaitsFor("wfj-1", "capacity");
    expect(await test.ledger.takeUp(demand(1))).to.deep.equal({
      demandState: "waiting",
      isCovered: false,
      launchIds: [launchId],
      waitsFor: "capacity",
      notes: [note],
    });
  });

  it("are covered when the machines on their way meet what waits, each class and scope for itself", async () => {
    const elsewhere = { kind: "repository" as const, owner: "Acme", repository: "other" };
    await launchOne(test.ledger, 1, "i-1");
    const standings = await Promise.all([
      test.ledger.takeUp(demand(1)),
      test.ledger.takeUp(demand(2, { scope: elsewhere })),
    ]);
    expect(standings.map(({ isCovered }) => isCovered)).to.deep.equal([true, false]);
  });

  it("are each told of themselves when many come at once, known and unknown", async () => {
    const demands = Array.from({ length: 250 }, (_none, at) => demand(at + 1));
    for (const one of demands.slice(0, 100)) await test.ledger.recordQueued(one);
    await Promise.all(
      demands.map((one) => test.ledger.addNote(one.key, { at: T0, kind: "n", text: one.key })),
    );
    const standings = await Promise.all(demands.map((one) => test.ledger.takeUp(one)));
    expect(standings.map(({ notes }) => notes[0]?.text)).to.deep.equal(demands.map(({ key }) => key));
    expect((await test.ledger.countByClass())[0]?.demand).to.equal(250);
  });

  it("raise the generation, join the demand again that they fell out of, and never bring back what is over", async () => {
    await test.ledger.recordQueued(demand(1));
    await test.ledger.recordQueued(demand(2));
    await test.ledger.recordCompleted({ workflowJobId: 2, at: T0, conclusion: "cancelled" });
    await test.redis.del("{grp}:demand:ubuntu-arm64|repo:acme/app");
    await test.ledger.takeUp(demand(1, { generation: 2 }));
    expect((await test.ledger.getWorkflowJob("wfj-1"))?.demand.generation).to.equal(2);
    expect(await test.ledger.takeUp(demand(2))).to.include({ demandState: "cancelled" });
    expect((await test.ledger.countByClass())[0]?.demand).to.equal(1);
    expect((await test.ledger.openLaunch(order([demand(1), demand(2)]))).opened?.launch.size).to.equal(1);
  });
});
