import { type Demand, demandJobId, LaunchSpentError, NoCapacityError, type ProviderName } from "@grp/core";
import { expect } from "chai";
import { buryDead } from "./dead.ts";
import { releasePlace } from "./places.ts";
import { provision } from "./provision.ts";
import { tellRetry } from "./retried.ts";
import { type Harness, makeDemand, makeWork, useHarness } from "./testing/harness.ts";

describe("provision", () => {
  let harness: Harness;
  useHarness((fresh) => {
    harness = fresh;
  });

  const run = (demand = makeDemand(), provider: ProviderName = "ec2", work = makeWork()) =>
    provision(harness, provider, demand, work);
  const launches = () => harness.ec2.calls.filter((call) => call.startsWith("launch"));
  const usedOf = async (name: string) =>
    (await harness.ledger.listCaps()).find((cap) => cap.name === name)?.used;

  it("launches one machine and tells it in one line", async () => {
    const demand = await harness.addDemand();
    const outcome = await run(demand);
    expect(outcome).to.have.nested.property("result.outcome", "launched");
    expect(harness.ec2.machines).to.have.length(1);
    expect(harness.lines.map((line) => line.message)).to.deep.equal(["runner.provisioned"]);
    const [runner] = await harness.ledger.listLiveRunners();
    expect(runner).to.include({ step: "launched", placeHolder: demandJobId(demand.key, 1) });
  });

  it("writes no ticket into log, ledger or result", async () => {
    const outcome = await run(await harness.addDemand());
    const order = harness.ec2.machines[0]?.order;
    expect(order?.boot.ticket).to.match(/^grp1\./);
    expect(JSON.stringify([outcome, harness.lines])).not.to.contain(order?.boot.ticket);
  });

  it("starts nothing again when it is run again after the launch", async () => {
    const demand = await harness.addDemand();
    await run(demand);
    const again = await run(demand);
    expect(again).to.have.nested.property("result.isRepeat", true);
    expect(launches()).to.have.length(1);
    expect(await usedOf("class:linux")).to.equal(1);
  });

  it("records a demand that the ledger has never heard of", async () => {
    await run(makeDemand());
    expect(harness.ec2.machines).to.have.length(1);
  });

  it("asks again under the same launch id when the answer was lost", async () => {
    const demand = await harness.addDemand();
    harness.ec2.loseNextResponse("launch");
    const error = await run(demand).catch((thrown: Error) => thrown);
    expect(error).to.have.property("errorClass", "transient");
    harness.clock.now += 60_000;
    await run(demand, "ec2", makeWork({ attempt: 2 }));
    expect(harness.ec2.machines).to.have.length(1);
    expect(new Set(launches())).to.have.length(1);
    expect(launches()).to.have.length(2);
  });

  it("goes to no other offering while a launch's outcome is unknown", async () => {
    const demand = await harness.addDemand();
    harness.ec2.failNext("no-capacity", { verb: "launch" });
    harness.ec2.failNext("transient", { verb: "launch" });
    await run(demand).catch(() => undefined);
    await run(demand, "ec2", makeWork({ attempt: 2 }));
    const [first, second, third] = launches();
    expect(second).not.to.equal(first);
    expect(third).to.equal(second);
    expect(harness.ec2.machines[0]?.order?.offering).to.have.property("market", "on-demand");
  });

  it("takes the next offering when one has no room", async () => {
    harness.ec2.failNext("no-capacity", { verb: "launch" });
    await run(await harness.addDemand());
    expect(harness.ec2.machines[0]?.order?.offering).to.have.property("market", "on-demand");
  });

  it("gives its place back after the last offering, and begins at the first again", async () => {
    const demand = await harness.addDemand();
    harness.ec2.failNext("no-capacity", { verb: "launch", times: 2 });
    const error = await run(demand).catch((thrown: Error) => thrown);
    expect(error).to.have.property("errorClass", "no-capacity");
    expect(await usedOf("class:linux")).to.equal(0);
    expect(await harness.ledger.getWorkflowJob(demand.key)).to.have.property("waitsFor", "capacity");
    await run(demand, "ec2", makeWork({ attempt: 2 }));
    expect(harness.ec2.machines[0]?.order?.offering).to.have.property("market", "spot");
    expect(new Set(launches())).to.have.length(3);
    expect(await harness.ledger.getWorkflowJob(demand.key)).not.to.have.property("waitsFor");
  });

  it("waits for a dedicated host where one offering wants it, notes it once, and tries all of them again", async () => {
    const demand = await harness.addDemand();
    const scrubbed = new NoCapacityError("no host", {
      code: "UnavailableHostRequirements",
      waitsForHost: true,
    });
    for (let attempt = 1; attempt <= 12; attempt++) {
      harness.ec2.failNext(scrubbed, { verb: "launch" });
      harness.ec2.failNext("no-capacity", { verb: "launch" });
      const error = await run(demand, "ec2", makeWork({ attempt })).catch((thrown: Error) => thrown);
      expect(error).to.equal(scrubbed);
    }
    const record = await harness.ledger.getWorkflowJob(demand.key);
    expect(record).to.have.property("waitsFor", "host");
    expect(record?.notes.map(({ kind }) => kind)).to.deep.equal(["no-host"]);
    await run(demand);
    expect(harness.ec2.machines[0]?.order?.offering).to.have.property("market", "spot");
  });

  it("stays off spot after an empty walk when spot has taken two of its machines", async () => {
    const demand = await harness.addDemand({ offeringIndex: 1 });
    for (const kind of ["lost", "interrupted"])
      await harness.ledger.addNote(demand.key, { at: harness.clock.now, kind, text: "" });
    harness.ec2.failNext("no-capacity", { verb: "launch" });
    await run(demand).catch(() => undefined);
    expect(await harness.ledger.getWorkflowJob(demand.key)).to.have.property("waitsFor", "capacity");
    await run(demand, "ec2", makeWork({ attempt: 2 }));
    expect(harness.ec2.machines[0]?.order?.offering).to.have.property("market", "on-demand");
  });

  it("hands the demand over to the next provider's queue, without the team's place", async () => {
    const demand = await harness.addDemand({ runnerClass: "mac" });
    harness.codemagic.failNext("no-capacity", { verb: "launch" });
    const outcome = await run(demand, "codemagic");
    expect(outcome).to.have.nested.property("result.outcome", "handed-over");
    expect(harness.producer.demands).to.deep.equal([
      { demand: { ...demand, offeringIndex: 1 }, provider: "ec2" },
    ]);
    expect(await usedOf("codemagic:default")).to.equal(0);
    await run({ ...demand, offeringIndex: 1 }, "ec2");
    expect(harness.ec2.machines).to.have.length(1);
    expect(await usedOf("class:mac")).to.equal(1);
  });

  it("hands over again after a person asked for another try, however often it found no room before", async () => {
    const demand = await harness.addDemand({ runnerClass: "mac" });
    const at = harness.clock.now;
    for (let walk = 0; walk < 10; walk++)
      await harness.ledger.addNote(demand.key, { at, kind: "no-capacity", text: "none" });
    const failure = { at, errorClass: "no-capacity", message: "none", demand };
    await harness.ledger.recordFailure(demand.key, failure);
    const revived = (await harness.ledger.reviveDead(demand.key)) as Demand;
    harness.codemagic.failNext("no-capacity", { verb: "launch" });
    await run(revived, "codemagic");
    expect(harness.producer.demands).to.have.length(1);
    expect(harness.producer.demands[0]).to.have.property("provider", "ec2");
  });

  it("keeps the places of a launch that may have started a machine when that goes on in another queue", async () => {
    const demand = await harness.addDemand({ runnerClass: "mac" });
    harness.codemagic.loseNextResponse("launch");
    await run(demand, "codemagic").catch(() => undefined);
    const moved = await run({ ...demand, offeringIndex: 1 }, "ec2");
    expect(moved).to.deep.include({ result: { outcome: "handed-over", to: "codemagic", offeringIndex: 0 } });
    for (const cap of ["codemagic:default", "class:mac"]) expect(await usedOf(cap)).to.equal(1);
    await run(demand, "codemagic");
    expect(harness.codemagic.machines).to.have.length(1);
    for (const cap of ["codemagic:default", "class:mac"]) expect(await usedOf(cap)).to.equal(1);
  });

  it("opens a launch with a new id when the old one's machine has come and gone", async () => {
    harness.ec2.failNext(new LaunchSpentError("ended"), { verb: "launch" });
    await run(await harness.addDemand());
    expect(new Set(launches())).to.have.length(2);
    expect(harness.ec2.machines[0]?.order?.offering).to.have.property("market", "spot");
  });

  for (const errorClass of ["invalid-spec", "unauthorized"] as const)
    it(`closes the launch at ${errorClass}, and leaves no place behind once it is dead`, async () => {
      const demand = await harness.addDemand();
      harness.ec2.failNext(errorClass, { verb: "launch" });
      const error = await run(demand).catch((thrown: Error) => thrown);
      expect(error).to.have.property("errorClass", errorClass);
      const work = {
        provider: "ec2" as const,
        jobId: demand.key,
        demand,
        error: error as Error,
        attempts: 1,
      };
      await buryDead(harness, work);
      await buryDead(harness, work);
      expect(await usedOf("class:linux")).to.equal(0);
      expect(await harness.ledger.countByClass()).to.deep.equal([]);
      const lines = harness.lines.filter((line) => line.message === "runner.failed");
      expect(lines.map(({ fields }) => fields.isRepeat)).to.deep.equal([undefined, true]);
      expect(await harness.ledger.listDead(10)).to.have.length(1);
    });

  it("keeps launch and place through a rate limit", async () => {
    const demand = await harness.addDemand();
    harness.ec2.failNext("rate-limited", { verb: "launch" });
    const error = await run(demand).catch((thrown: Error) => thrown);
    expect(error).to.have.property("errorClass", "rate-limited");
    expect(await usedOf("class:linux")).to.equal(1);
    await tellRetry(harness, "ec2", {
      ...{ jobId: demand.key, demand, attempt: 1, delayMs: 50 },
      error: error as Error,
    });
    expect(await harness.ledger.getWorkflowJob(demand.key)).to.have.property("waitsFor", "throttle");
    await run(demand);
    expect(new Set(launches())).to.have.length(1);
    expect(await harness.ledger.getWorkflowJob(demand.key)).not.to.have.property("waitsFor");
  });

  it("says of a demand that siblings' machines cover that this is what it waits for, until it has its own", async () => {
    const [first, second] = [
      await harness.addDemand({ runnerClass: "farm" }),
      await harness.addDemand({ runnerClass: "farm" }),
    ];
    await Promise.all([run(first), run(second)]);
    const ran = { workflowJobId: first.workflowJobId, at: harness.clock.now, runnerName: "theirs" };
    await harness.ledger.recordInProgress(ran);
    const third = await harness.addDemand({ runnerClass: "farm" });
    expect(await run(third)).to.have.deep.property("result", { outcome: "skipped", why: "covered" });
    expect(await harness.ledger.getWorkflowJob(third.key)).to.have.property("waitsFor", "covered");
    await harness.addDemand({ runnerClass: "farm" });
    await run(third);
    expect(await harness.ledger.getWorkflowJob(third.key)).not.to.have.property("waitsFor");
  });

  it("keeps the place of a dead demand whose machine may be running", async () => {
    const demand = await harness.addDemand();
    harness.ec2.loseNextResponse("launch");
    const error = (await run(demand).catch((thrown: Error) => thrown)) as Error;
    await buryDead(harness, { provider: "ec2", jobId: demand.key, demand, error, attempts: 10 });
    expect(await usedOf("class:linux")).to.equal(1);
  });

  it("waits in line when the cap is reached, and is woken by the one who leaves", async () => {
    const [first, second, third] = [
      await harness.addDemand(),
      await harness.addDemand(),
      await harness.addDemand(),
    ];
    await run(first);
    await run(second);
    expect(await run(third)).to.include({ kind: "wait", why: "cap class:linux (0 ahead)" });
    expect(harness.ec2.machines).to.have.length(2);
    const runner = (await harness.ledger.listLiveRunners()).find((one) => one.placeHolder === first.key);
    await harness.ledger.recordStep(runner?.runnerName as string, "gone", harness.clock.now);
    await releasePlace(harness, first.key);
    expect(harness.producer.woken).to.deep.equal([third.key]);
    expect(await run(third)).to.have.nested.property("result.outcome", "launched");
  });

  it("skips a demand that was cancelled while it waited, and leaves the line", async () => {
    const [first, second, third] = [
      await harness.addDemand(),
      await harness.addDemand(),
      await harness.addDemand(),
    ];
    await run(first);
    await run(second);
    await run(third);
    await harness.ledger.recordCompleted({
      workflowJobId: third.workflowJobId,
      at: harness.clock.now,
      conclusion: "cancelled",
    });
    expect(await run(third)).to.have.nested.property("result.outcome", "skipped");
    expect((await harness.ledger.listCaps())[0]).to.include({ used: 2, waiting: 0 });
  });

  it("launches for a sibling whose runner was taken, though its own workflow job has started", async () => {
    const [first, second] = [await harness.addDemand(), await harness.addDemand()];
    await run(second);
    const [runner] = await harness.ledger.listLiveRunners();
    // The first workflow job took the machine that was started for the second.
    await harness.ledger.recordInProgress({
      workflowJobId: first.workflowJobId,
      at: harness.clock.now,
      runnerName: runner?.runnerName as string,
      runnerId: 1,
    });
    expect(await run(first)).to.have.nested.property("result.outcome", "launched");
    expect(harness.ec2.machines).to.have.length(2);
  });

  it("gives the work back when the worker is stopped in the middle of a call", async () => {
    const demand = await harness.addDemand();
    const controller = new AbortController();
    const hanging = harness.ec2.hangNext();
    const running = run(demand, "ec2", makeWork({ signal: controller.signal })).catch(
      (error: Error) => error,
    );
    await hanging;
    controller.abort();
    expect(await running).to.have.property("name", "AbortError");
    await run(demand);
    expect(harness.ec2.machines).to.have.length(1);
  });

  it("begins a retry where the provider's walk over placements stood", async () => {
    const demand = await harness.addDemand();
    harness.ec2.failNext("transient", { verb: "launch" });
    await run(demand).catch(() => undefined);
    const [launch] = await Promise.all(
      ((await harness.ledger.getWorkflowJob(demand.key))?.launchIds ?? []).map((id) =>
        harness.ledger.getLaunch(id),
      ),
    );
    await harness.ledger.recordPlacement(launch?.launchId as string, "subnet-b|t4g.large|ami-1");
    await run(demand);
    expect(harness.ec2.machines[0]?.order?.placement).to.equal("subnet-b|t4g.large|ami-1");
  });

  it("refuses a class that the catalog does not have", async () => {
    const error = await run(makeDemand({ runnerClass: "windows" })).catch((thrown: Error) => thrown);
    expect(error).to.have.property("errorClass", "invalid-spec");
  });
});
