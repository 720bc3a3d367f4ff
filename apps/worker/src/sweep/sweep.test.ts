import {
  type Demand,
  InvalidSpecError,
  RateLimitedError,
  runnerName,
  scopeKey,
  TransientError,
  UnauthorizedError,
} from "@grp/core";
import type { GitHub } from "@grp/github";
import { expect } from "chai";
import { buryDead } from "../dead.ts";
import { provision } from "../provision.ts";
import { terminate } from "../terminate.ts";
import { type Harness, makeDemand, makeWork, SCOPE, useHarness } from "../testing/harness.ts";
import { GRACE_MS, HOUR, MINUTE } from "../testing/world.ts";
import type { Rule } from "./rule.ts";
import { RULES } from "./rules/index.ts";
import { createSweep } from "./sweep.ts";

describe("sweep", () => {
  let harness: Harness;
  const server = useHarness((fresh) => {
    harness = fresh;
  });

  const sweep = () => createSweep(harness, { graceMs: GRACE_MS })(new AbortController().signal);
  const pass = (ms: number) => {
    harness.clock.now += ms;
  };
  /** Does what was enqueued, as the queue's workers would. */
  const work = async () => {
    for (const termination of harness.producer.terminations.splice(0))
      await terminate(harness, termination, makeWork());
    for (const { demand, provider } of harness.producer.demands.splice(0))
      await provision(harness, provider, demand, makeWork()).catch(() => undefined);
  };
  const launchOne = async () => {
    const demand = await harness.addDemand();
    await provision(harness, "ec2", demand, makeWork());
    const runners = await harness.ledger.listLiveRunners();
    const runner = runners.find((one) => one.placeHolder === demand.key);
    if (!runner) throw new Error("nothing was launched");
    return { demand, runner };
  };
  const claim = async (runnerName: string) => {
    const at = harness.clock.now;
    await harness.ledger.finishClaim({ runnerName, claimNumber: 0, runnerId: 1, at });
    harness.github.setRunner(SCOPE, { name: runnerName });
  };
  const live = () => harness.ec2.machines.filter((machine) => machine.state === "live");

  it("does nothing, and says nothing, while all is well", async () => {
    await launchOne();
    expect(await sweep()).to.equal(true);
    expect(harness.producer.terminations).to.deep.equal([]);
    expect(harness.producer.demands).to.deep.equal([]);
    expect(harness.lines.map((line) => line.message)).to.deep.equal(["runner.provisioned"]);
  });

  it("leaves its time, and is missed when it can't be made any more", async () => {
    await sweep();
    expect(await harness.ledger.getLastSweep()).to.deep.equal({ at: harness.clock.now, everyMs: 30_000 });
    const ledger = {
      ...harness.ledger,
      listOpenDemands: () => Promise.reject(new Error("Command timed out")),
    };
    const failing = createSweep(harness.with({ ledger }), { graceMs: GRACE_MS });
    const kinds = async () => (await harness.ledger.listWarnings(harness.clock.now)).map(({ kind }) => kind);
    for (let round = 0; round < 6; round++) {
      expect(await kinds()).to.deep.equal([]);
      pass(MINUTE / 2);
      await failing(new AbortController().signal).catch(() => undefined);
    }
    expect(await kinds()).to.deep.equal(["sweep"]);
    await sweep();
    expect(await kinds()).to.deep.equal([]);
  });

  it("goes on when a rule throws, and warns of it in the third round, until it is well again", async () => {
    let isBroken = true;
    const broken: Rule = {
      name: "broken",
      judge: () => {
        if (isBroken) throw new TypeError("no such field");
        return [];
      },
    };
    const demand = makeDemand({
      workflowJobId: 77,
      receivedAt: harness.clock.now,
      queuedAt: harness.clock.now,
    });
    await harness.ledger.recordQueued(demand);
    const swept: string[] = [];
    const metrics = {
      ...harness.metrics,
      swept: (one: { rule: string; outcome: string }) => swept.push(`${one.rule} ${one.outcome}`),
    };
    const sweepAll = createSweep(harness.with({ metrics }), { graceMs: GRACE_MS, rules: [broken, ...RULES] });
    const warned = async () => (await harness.ledger.listWarnings(harness.clock.now)).map(({ text }) => text);
    for (let round = 0; round < 3; round++) {
      expect(await warned()).to.deep.equal([]);
      pass(MINUTE);
      await sweepAll(new AbortController().signal);
    }
    expect(harness.producer.demands.map(({ demand: { key } }) => key)).to.include(demand.key);
    expect(swept.filter((one) => one === "broken error")).to.have.length(3);
    expect(harness.lines.find(({ message }) => message === "sweep.rule-failed")?.fields).to.include({
      rule: "broken",
      error: "no such field",
    });
    const [warning, ...others] = await warned();
    expect(warning).to.match(/^the sweep's rule broken fails, round after round/);
    expect(others).to.deep.equal([]);
    isBroken = false;
    for (let round = 0; round < 3; round++) {
      pass(5 * MINUTE);
      await sweepAll(new AbortController().signal);
    }
    expect(await warned()).to.deep.equal([]);
  });

  it("is made by another worker within ten seconds of one's death in the middle of it", async () => {
    const dying = new AbortController();
    const arrived = Promise.withResolvers<void>();
    const list = (signal: AbortSignal) => {
      arrived.resolve();
      return new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    };
    const stuck = harness.with({ providers: new Map([["ec2", { ...harness.ec2, list }]]) });
    const first = createSweep(stuck, { graceMs: GRACE_MS })(dying.signal);
    await arrived.promise;
    expect(await sweep()).to.equal(false);
    expect(await harness.lockLastsMs("sweep")).to.be.within(1, 10_000);
    dying.abort();
    await first;
    expect(await sweep()).to.equal(true);
  });

  it("starts another machine for one that never claims, three times, and then makes a dead letter", async () => {
    const { demand } = await launchOne();
    for (let round = 0; round < 12; round++) {
      pass(13 * MINUTE);
      await sweep();
      await work();
    }
    expect(harness.ec2.machines).to.have.length(3);
    expect(live()).to.deep.equal([]);
    const [dead] = await harness.ledger.listDead(10);
    expect(dead?.key).to.equal(demand.key);
    expect(dead?.failure?.errorClass).to.equal("boot");
    expect((await harness.ledger.listCaps())[0]).to.include({ used: 0, waiting: 0 });
    expect(harness.lines.filter((line) => line.message === "runner.failed")).to.have.length(1);
  });

  it("counts no throttle, however long it lasts, as a machine that did not boot", async () => {
    const demand = await harness.addDemand();
    // Its queue job comes back to it each minute; so none is added by the sweep's.
    for (let minute = 0; minute < 45; minute++) {
      harness.ec2.failNext("rate-limited", { verb: "launch" });
      await provision(harness, "ec2", demand, makeWork()).catch(() => undefined);
      pass(MINUTE);
      await sweep();
      harness.producer.demands.splice(0);
    }
    await provision(harness, "ec2", demand, makeWork());
    const [runner] = (await harness.ledger.listLiveRunners()).filter((one) => one.instanceId !== undefined);
    await claim(runner?.runnerName as string);
    harness.ec2.end(runner?.instanceId as string);
    for (let round = 0; round < 6; round++) {
      pass(3 * MINUTE);
      await sweep();
      await work();
    }
    const record = await harness.ledger.getWorkflowJob(demand.key);
    expect(record?.demandState).to.equal("waiting");
    const kinds = new Set(record?.notes.map(({ kind }) => kind));
    expect(kinds).to.include("unanswered");
    expect(kinds).to.not.include("boot-timeout");
  });

  it("notes a launch that was never answered once, though Redis fails on the way", async () => {
    const demand = await harness.addDemand();
    harness.ec2.failNext("rate-limited", { verb: "launch" });
    await provision(harness, "ec2", demand, makeWork()).catch(() => undefined);
    pass(13 * MINUTE);
    const failing = {
      ...harness.ledger,
      recordLaunchFailed: async () => Promise.reject(new Error("Redis is away")),
    };
    await createSweep(harness.with({ ledger: failing }), { graceMs: GRACE_MS })(new AbortController().signal);
    expect((await harness.ledger.getWorkflowJob(demand.key))?.notes).to.deep.equal([]);
    await sweep();
    await sweep();
    const notes = (await harness.ledger.getWorkflowJob(demand.key))?.notes;
    expect(notes?.map(({ kind }) => kind)).to.deep.equal(["unanswered"]);
  });

  it("tells only those whose machines did not come, of a launch of several", async () => {
    const demands = [];
    while (demands.length < 6) demands.push(await harness.addDemand({ runnerClass: "farm" }));
    await Promise.all(demands.map((demand) => provision(harness, "ec2", demand, makeWork())));
    const runners = await harness.ledger.listLiveRunners();
    const together = Object.values(Object.groupBy(runners, ({ launchId }) => launchId));
    const late = together.find((siblings) => (siblings?.length ?? 0) > 2)?.slice(0, 2) ?? [];
    for (const { runnerName } of runners.filter((runner) => !late.includes(runner))) await claim(runnerName);
    pass(13 * MINUTE);
    await sweep();
    const blamed = await harness.ledger.listWorkflowJobs(10);
    const told = blamed.filter(({ notes }) => notes.some(({ kind }) => kind === "boot-timeout"));
    expect(told.map(({ key }) => key)).to.have.members(late.map(({ placeHolder }) => placeHolder));
    expect(harness.producer.terminations.filter(({ reason }) => reason === "boot-timeout")).to.have.length(2);
  });

  const endUnclaimed = async (isReported: boolean) => {
    const runners = await harness.ledger.listLiveRunners();
    for (const runner of runners.filter(({ step }) => step === "launched")) {
      harness.ec2.end(runner.instanceId as string);
      const { runnerName: name, launchId, provider } = runner;
      const termination = { version: 1, runnerName: name, launchId, provider, reason: "failed" } as const;
      if (isReported)
        await harness.producer.enqueueTermination({ ...termination, requestedAt: harness.clock.now });
    }
  };

  for (const [how, isReported] of [
    ["dies before its claim", false],
    ["reports before its claim that it failed", true],
  ] as const)
    it(`makes a dead letter after three machines of which each ${how}, and again only after a retry's own three`, async () => {
      const first = await harness.addDemand();
      await provision(harness, "ec2", first, makeWork());
      const fail = async () => {
        for (let round = 0; round < 20; round++) {
          await endUnclaimed(isReported);
          pass(3 * MINUTE);
          await sweep();
          await work();
        }
      };
      await fail();
      expect(harness.ec2.machines).to.have.length(3);
      expect((await harness.ledger.getWorkflowJob(first.key))?.failure?.errorClass).to.equal("boot");
      const revived = (await harness.ledger.reviveDead(first.key)) as Demand;
      await provision(harness, "ec2", revived, makeWork());
      await fail();
      expect(harness.ec2.machines).to.have.length(6);
      expect((await harness.ledger.getWorkflowJob(first.key))?.failure?.errorClass).to.equal("boot");
    });

  it("starts two machines, no more, for a workflow job that GitHub knows no more, and makes a dead letter", async () => {
    const { demand } = await launchOne();
    for (let round = 0; round < 60; round++) {
      for (const { step, runnerName, launchId, provider } of await harness.ledger.listLiveRunners()) {
        if (step !== "launched") continue;
        await claim(runnerName);
        const end = { version: 1, runnerName, launchId, provider, reason: "failed" } as const;
        await harness.producer.enqueueTermination({ ...end, requestedAt: harness.clock.now });
      }
      pass(3 * MINUTE);
      await sweep();
      await work();
    }
    expect(harness.ec2.machines).to.have.length(2);
    const record = await harness.ledger.getWorkflowJob(demand.key);
    expect(record?.failure?.message).to.match(/^GitHub knows this workflow job no more/);
    expect(harness.lines.filter((line) => line.message === "runner.failed")).to.have.length(1);
  });

  it("replaces a machine that was taken away while its workflow job waited", async () => {
    const { runner } = await launchOne();
    harness.ec2.end(runner.instanceId as string);
    for (let round = 0; round < 4; round++) {
      pass(3 * MINUTE);
      await sweep();
      await work();
    }
    expect(live()).to.have.length(1);
    expect((await harness.ledger.listCaps())[0]?.used).to.equal(1);
    expect((await harness.ledger.getRunner(runner.runnerName))?.step).to.equal("gone");
  });

  /** Its machine reported the end of its job; the deliveries that would have said so are late. */
  const finishUnheard = async () => {
    const { demand, runner } = await launchOne();
    await claim(runner.runnerName);
    await harness.ledger.recordStep(runner.runnerName, "finished", harness.clock.now);
    pass(3 * MINUTE);
    return { demand, runner };
  };

  it("starts no other machine for a workflow job that ran without our hearing of it", async () => {
    const { demand, runner } = await finishUnheard();
    const { runnerName } = runner;
    harness.github.setWorkflowJob({ id: demand.workflowJobId, status: "in_progress", runnerName });
    await sweep();
    expect(harness.producer.demands).to.deep.equal([]);
    const record = await harness.ledger.getWorkflowJob(demand.key);
    expect(record).to.include({ demandState: "served", servedBy: runnerName });
  });

  it("starts another machine all the same when GitHub can't say", async () => {
    const { demand } = await finishUnheard();
    harness.github.fail("getWorkflowJob", new TransientError("down"));
    await sweep();
    expect(harness.producer.demands.map((one) => one.demand.key)).to.deep.equal([demand.key]);
  });

  it("takes off GitHub the runner of a machine that is gone", async () => {
    const { demand, runner } = await launchOne();
    await claim(runner.runnerName);
    const { workflowJobId } = demand;
    const at = harness.clock.now;
    await harness.ledger.recordCompleted({ workflowJobId, at, runnerName: runner.runnerName, runnerId: 1 });
    harness.ec2.end(runner.instanceId as string);
    pass(3 * MINUTE);
    await sweep();
    await work();
    expect(harness.github.names(SCOPE)).to.deep.equal([]);
    expect((await harness.ledger.listCaps())[0]?.used).to.equal(0);
  });

  it("covers nobody for ever by a build that claimed and ended while its launch was never answered", async () => {
    const demand = await harness.addDemand({ runnerClass: "mac", labels: ["mac"] });
    harness.codemagic.loseNextResponse();
    await provision(harness, "codemagic", demand, makeWork()).catch(() => undefined);
    const [runner] = await harness.ledger.listLiveRunners();
    const [build] = harness.codemagic.machines;
    const { launchId = "", runnerName = "" } = runner ?? {};
    const claim = {
      launchId,
      instanceId: build?.instance.instanceId ?? "",
      at: harness.clock.now,
      lockMs: 30_000,
    };
    expect(await harness.ledger.beginClaim(claim)).to.include({ outcome: "granted" });
    await harness.ledger.abandonClaim({ runnerName, claimNumber: 1 });
    harness.codemagic.end(claim.instanceId);
    const note = { at: harness.clock.now, kind: "spent", text: "its machines have ended" };
    await harness.ledger.recordLaunchFailed(launchId, note);
    for (let round = 0; round < 4; round++) {
      pass(13 * MINUTE);
      await sweep();
      await work();
    }
    expect((await harness.ledger.getRunner(runnerName))?.step).to.equal("gone");
    expect(harness.codemagic.machines.map(({ state }) => state)).to.include("live");
  });

  it("counts a machine that can't be ended once, and as no failed demand, however often it is tried", async () => {
    const { runner } = await launchOne();
    await harness.ledger.recordStep(runner.runnerName, "finished", harness.clock.now);
    const told: string[] = [];
    const metrics = {
      ...harness.metrics,
      failed: () => void told.push("demand"),
      unended: ({ errorClass }: { errorClass: string }) => void told.push(errorClass),
    };
    for (let round = 0; round < 5; round++) {
      pass(3 * MINUTE);
      harness.ec2.failNext("unauthorized", { verb: "terminate" });
      await sweep();
      for (const termination of harness.producer.terminations.splice(0)) {
        const error = await terminate(harness, termination, makeWork()).catch((reason: Error) => reason);
        if (!(error instanceof Error)) throw new Error("it was ended");
        await buryDead(harness.with({ metrics }), {
          ...{ provider: "ec2", jobId: "end", attempts: 1 },
          termination,
          error,
        });
      }
    }
    expect(told).to.deep.equal(["unauthorized"]);
  });

  it("says what is missing when machines of a provider are left that it has no credentials for", async () => {
    const demand = await harness.addDemand({ runnerClass: "mac", labels: ["mac"] });
    await provision(harness, "codemagic", demand, makeWork());
    const [runner] = await harness.ledger.listLiveRunners();
    const without = harness.with({ providers: new Map([["ec2", harness.ec2]]) });
    const end = {
      runnerName: runner?.runnerName ?? "",
      launchId: runner?.launchId ?? "",
      reason: "finished",
    };
    const termination = {
      version: 1,
      provider: "codemagic",
      requestedAt: harness.clock.now,
      ...end,
    } as const;
    const error = await terminate(without, termination, makeWork()).catch((reason: unknown) => reason);
    // Not tried again and again as a fault of ours would be.
    expect(error).to.be.instanceOf(InvalidSpecError);
    await buryDead(without, {
      ...{ jobId: "end-1", provider: "codemagic", attempts: 1, error: error as Error, termination },
    });
    const [warning] = await harness.ledger.listWarnings(harness.clock.now);
    expect(warning?.text).to.include("can't be ended, for this worker has no CODEMAGIC_TOKEN");
    expect(await harness.ledger.listDead(9)).to.deep.equal([]);
  });

  it("ends a stray machine of ours, and no stranger's", async () => {
    harness.ec2.addForeign();
    const order = { launchId: "l-unknown", size: 1, scope: SCOPE, runnerClass: harness.catalog.classes[0] };
    await harness.ec2.launch(order as never, new AbortController().signal);
    pass(3 * MINUTE);
    await sweep();
    expect(harness.producer.terminations.map((one) => one.reason)).to.deep.equal(["stray"]);
    await work();
    expect(harness.ec2.machines.map((machine) => machine.state)).to.deep.equal(["live", "gone"]);
  });

  it("ends no busy machine when its ledger is lost, nor one of which GitHub can't be asked, and then the idle one", async () => {
    const { runner } = await launchOne();
    const { runner: other } = await launchOne();
    for (const { runnerName } of [runner, other]) await claim(runnerName);
    harness.github.setRunner(SCOPE, { name: runner.runnerName, busy: true });
    // Empties Redis under this one too.
    await server.create();
    pass(4 * MINUTE);
    harness.github.fail("listRunners", new TransientError("down"));
    await sweep();
    expect(harness.producer.terminations).to.deep.equal([]);
    harness.github.fail("listRunners", undefined);
    await sweep();
    await work();
    expect(live().map(({ instance }) => instance.instanceId)).to.deep.equal([runner.instanceId]);
  });

  it("deregisters ghosts, also where nothing of ours runs any more", async () => {
    await harness.ledger.recordQueued(makeDemand());
    await harness.ledger.recordCompleted({
      workflowJobId: 1,
      at: harness.clock.now,
      conclusion: "cancelled",
    });
    const name = runnerName("grp", "l-0123456789abcdef01234567", 0);
    harness.github.setRunner(SCOPE, { name, status: "offline" });
    harness.github.setRunner(SCOPE, { name: "somebody", status: "offline" });
    const other = runnerName("grp", "l-0123456789abcdef01234567", 1);
    harness.github.setRunner(SCOPE, { name: other, status: "offline" });
    await sweep();
    expect(harness.github.names(SCOPE)).to.deep.equal([name, "somebody", other]);
    for (const status of ["online", "offline"] as const) {
      harness.github.setRunner(SCOPE, { name: other, status });
      pass(10 * MINUTE);
      await sweep();
      expect(harness.github.names(SCOPE)).to.deep.equal(["somebody", other]);
    }
    pass(10 * MINUTE);
    await sweep();
    expect(harness.github.names(SCOPE)).to.deep.equal(["somebody"]);
  });

  it("never ends a runner that GitHub calls busy, even when it looks surplus and idle", async () => {
    const { demand, runner } = await launchOne();
    await claim(runner.runnerName);
    harness.github.setRunner(SCOPE, { name: runner.runnerName, busy: true });
    const { workflowJobId } = demand;
    await harness.ledger.recordCompleted({ workflowJobId, at: harness.clock.now, conclusion: "cancelled" });
    pass(HOUR);
    await sweep();
    await sweep();
    await work();
    expect(live()).to.have.length(1);
  });

  it("leaves a machine that its provider no longer lists to its job, and ends it when GitHub says that it is over", async () => {
    const { demand, runner } = await launchOne();
    const { runnerName } = runner;
    await claim(runnerName);
    const { workflowJobId } = demand;
    const update = () => ({ workflowJobId, at: harness.clock.now, runnerName, runnerId: 1 });
    await harness.ledger.recordInProgress(update());
    harness.github.setRunner(SCOPE, { name: runnerName, busy: true });
    harness.ec2.list = async () => ({ instances: [], unasked: [] });
    for (let round = 0; round < 4; round++) {
      pass(3 * MINUTE);
      await sweep();
      await work();
    }
    expect((await harness.ledger.getRunner(runnerName))?.notes.map(({ kind }) => kind)).to.include("lost");
    expect(live()).to.have.length(1);
    expect((await harness.ledger.listCaps())[0]?.used).to.equal(1);
    await harness.ledger.recordCompleted(update());
    await sweep();
    await work();
    expect(harness.ec2.machines.map((machine) => machine.state)).to.deep.equal(["gone"]);
  });

  it("ends the idle runner of a cancelled workflow job", async () => {
    const { demand, runner } = await launchOne();
    await claim(runner.runnerName);
    const { workflowJobId } = demand;
    await harness.ledger.recordCompleted({ workflowJobId, at: harness.clock.now, conclusion: "cancelled" });
    pass(3 * MINUTE);
    await sweep();
    expect(harness.producer.terminations.map((one) => one.reason)).to.deep.equal(["surplus"]);
    await work();
    expect(live()).to.deep.equal([]);
    expect(harness.github.names(SCOPE)).to.deep.equal([]);
  });

  it("counts no more on an idle runner that it ends: a new workflow job gets a machine of its own", async () => {
    const { runner } = await launchOne();
    await claim(runner.runnerName);
    pass(HOUR);
    await sweep();
    expect(harness.producer.terminations.map((one) => one.reason)).to.deep.equal(["idle"]);
    const supply = (await harness.ledger.countByClass()).map((count) => count.supply);
    expect(supply).to.deep.equal([0]);
    await provision(harness, "ec2", await harness.addDemand(), makeWork());
    expect(live()).to.have.length(2);
  });

  it("enqueues what the ingress wrote down and did not enqueue", async () => {
    const demand = makeDemand({ receivedAt: harness.clock.now });
    await harness.ledger.recordQueued(demand);
    pass(3 * MINUTE);
    await sweep();
    expect(harness.producer.demands).to.deep.equal([{ demand, provider: "ec2" }]);
    expect((await harness.ledger.getWorkflowJob(demand.key))?.times.enqueued).to.equal(harness.clock.now);
  });

  it("learns from GitHub that a workflow job was cancelled when no delivery said so", async () => {
    const demand = await harness.addDemand({ receivedAt: harness.clock.now });
    harness.producer.underWay.add(demand.key);
    harness.github.setWorkflowJob({ id: demand.workflowJobId, status: "completed", conclusion: "cancelled" });
    pass(6 * MINUTE);
    await sweep();
    expect((await harness.ledger.getWorkflowJob(demand.key))?.demandState).to.equal("cancelled");
    expect(harness.github.calls.filter((call) => call === "getWorkflowJob")).to.have.length(1);
  });

  it("learns from GitHub how a workflow job ended whose runner is gone and whose end no delivery told", async () => {
    const { demand, runner } = await launchOne();
    const { workflowJobId } = demand;
    const { runnerName: name } = runner;
    const stateNow = async () => (await harness.ledger.getWorkflowJob(demand.key))?.workflowJobState;
    await claim(name);
    await harness.ledger.recordInProgress({ workflowJobId, at: harness.clock.now, runnerName: name });
    harness.github.setWorkflowJob({
      id: workflowJobId,
      status: "completed",
      conclusion: "success",
      runnerName: name,
    });
    pass(6 * MINUTE);
    await sweep();
    expect(harness.github.calls).not.to.include("getWorkflowJob");
    await harness.ledger.recordStep(name, "gone", harness.clock.now);
    await sweep();
    expect(await stateNow()).to.equal("completed");
    expect(await harness.ledger.getWorkflowJob(demand.key)).to.include({
      conclusion: "success",
      servedBy: name,
    });
    pass(6 * MINUTE);
    await sweep();
    expect(harness.github.calls.filter((call) => call === "getWorkflowJob")).to.have.length(1);
  });

  it("learns of every one whose end no delivery told, however many, also of what GitHub knows no more", async () => {
    for (let id = 1; id <= 12; id++) {
      await harness.ledger.recordQueued(makeDemand({ workflowJobId: id }));
      const name = runnerName("grp", "l-0123456789abcdef01234567", id);
      await harness.ledger.recordInProgress({ workflowJobId: id, at: harness.clock.now, runnerName: name });
    }
    pass(6 * MINUTE);
    for (let round = 0; round < 3; round++, pass(MINUTE / 2)) await sweep();
    expect(await harness.ledger.listRunning()).to.deep.equal([]);
    const jobs = await harness.ledger.listWorkflowJobs(20);
    expect(jobs.map(({ conclusion }) => conclusion)).to.deep.equal(jobs.map(() => "unknown"));
    expect(harness.github.calls.filter((call) => call === "getWorkflowJob")).to.have.length(12);
  });

  it("gives back a place that nobody holds any more, and wakes the next in line", async () => {
    await launchOne();
    await launchOne();
    const waiting = await harness.addDemand();
    await provision(harness, "ec2", waiting, makeWork());
    harness.producer.underWay.add(waiting.key);
    const [first] = await harness.ledger.listLiveRunners();
    await harness.ledger.recordStep(first?.runnerName as string, "gone", harness.clock.now);
    await sweep();
    expect(harness.producer.woken).to.deep.equal([waiting.key]);
  });

  it("goes on with the rest when one deed fails, and does the failed one the next time", async () => {
    await launchOne();
    await launchOne();
    pass(13 * MINUTE);
    harness.producer.failNext(new Error("Redis refused"));
    await sweep();
    expect(harness.producer.terminations).to.have.length(1);
    expect(harness.lines.filter((line) => line.message === "sweep.failed")).to.have.length(1);
    pass(3 * MINUTE);
    await sweep();
    await work();
    const [first, second, ...replacements] = harness.ec2.machines;
    expect([first?.state, second?.state]).to.deep.equal(["gone", "gone"]);
    expect(replacements).to.have.length(2);
  });

  it("judges nothing by a provider or a GitHub that can't be asked, and says so", async () => {
    const { runner } = await launchOne();
    await claim(runner.runnerName);
    harness.ec2.failNext("transient", { verb: "list" });
    harness.github.fail("listRunners", new TransientError("down"));
    pass(4 * MINUTE);
    await sweep();
    expect((await harness.ledger.getRunner(runner.runnerName))?.notes).to.deep.equal([]);
    expect(harness.lines.filter((line) => line.message === "sweep.blind")).to.have.length(2);
  });

  it("warns of what can't be asked in three rounds on end, once, until it can", async () => {
    const warnings = async () =>
      (await harness.ledger.listWarnings(harness.clock.now)).map(({ text }) => text.split(",")[0]);
    for (let round = 1; round <= 6; round++) {
      if (round !== 3) harness.ec2.failNext("transient", { verb: "list" });
      await sweep();
      pass(MINUTE / 2);
      expect(await warnings()).to.deep.equal(round < 6 ? [] : ["the sweep can't ask provider ec2"]);
    }
    harness.ec2.failNext("transient", { verb: "list" });
    await sweep();
    expect(harness.lines.filter(({ message }) => message === "warning.raised")).to.have.length(1);
    for (let round = 1; round <= 20; round++, pass(MINUTE / 2)) await sweep();
    expect(await warnings()).to.deep.equal([]);
  });

  for (const error of [
    new InvalidSpecError("GitHub answered 404", { code: "404" }),
    new UnauthorizedError("GitHub App 1 is not installed on acme/app", { code: "app_not_installed" }),
  ])
    it(`warns of a repository that was taken from us (${error.code}) only while a runner of ours is there`, async () => {
      const { runner } = await launchOne();
      await claim(runner.runnerName);
      let asked = 0;
      const listRunners = async () => {
        asked += 1;
        throw error;
      };
      const github = { ...harness.github, listRunners };
      const round = createSweep(harness.with({ github }), { graceMs: GRACE_MS });
      const sweepFor = async (minutes: number) => {
        for (let at = 0; at < 2 * minutes; at++, pass(MINUTE / 2)) await round(new AbortController().signal);
        return (await harness.ledger.listWarnings(harness.clock.now)).map(({ text }) => text.split(",")[0]);
      };
      expect(await sweepFor(2)).to.deep.equal(["the sweep can't ask GitHub repo:acme/app"]);
      await harness.ec2.terminate(runner.instanceId ?? "", new AbortController().signal);
      await harness.ledger.recordStep(runner.runnerName, "gone", harness.clock.now);
      asked = 0;
      expect(await sweepFor(60)).to.deep.equal([]);
      expect(asked).to.be.within(4, 8);
    });

  const runBusy = async (repositories: number) => {
    for (let number = 0; number < repositories; number++) {
      const repository = `r${number}`;
      const scope = { kind: "repository", owner: "acme", repository } as const;
      await provision(
        harness,
        "ec2",
        await harness.addDemand({ scope, repository, runnerClass: "farm" }),
        makeWork(),
      );
    }
    for (const { runnerName: name, scope } of await harness.ledger.listLiveRunners()) {
      const at = harness.clock.now;
      await harness.ledger.finishClaim({ runnerName: name, claimNumber: 0, runnerId: 1, at });
      await harness.ledger.recordStep(name, "busy", at);
      harness.github.setRunner(scope, { name, busy: true });
    }
  };
  const with60 = async (listRunners: GitHub["listRunners"]) => {
    await runBusy(60);
    const github = { ...harness.github, listRunners };
    return createSweep(harness.with({ github }), { graceMs: GRACE_MS });
  };

  it("spends a small part of GitHub's hour, however many repositories are at work, and asks of each", async () => {
    const asked: string[] = [];
    const round = await with60(async (scope, signal) => {
      asked.push(scopeKey(scope));
      return harness.github.listRunners(scope, signal);
    });
    for (let sweeps = 0; sweeps < 20; sweeps++, pass(MINUTE / 2)) await round(new AbortController().signal);
    expect(new Set(asked).size).to.equal(60);
    // Ten minutes: each is asked every five.
    expect(asked).to.have.length.within(120, 150);
  });

  it("asks another time, and takes nothing for blindness, while claims go first", async () => {
    const asked = new Set<string>();
    let granted = 0;
    const round = await with60(async (scope, signal) => {
      if (granted-- <= 0)
        throw new RateLimitedError("others go first", {
          code: "in_line",
          isShared: true,
          retryAfterMs: 5_000,
        });
      asked.add(scopeKey(scope));
      return harness.github.listRunners(scope, signal);
    });
    for (let sweeps = 0; sweeps < 20; sweeps++, pass(MINUTE / 2)) {
      granted = sweeps === 0 ? 0 : 4;
      await round(new AbortController().signal);
    }
    expect(harness.lines.filter(({ message }) => message === "sweep.blind")).to.deep.equal([]);
    expect(await harness.ledger.listWarnings(harness.clock.now)).to.deep.equal([]);
    expect(asked.size).to.equal(60);
  });

  it("tells when it could ask nothing for ten minutes, for claims went first", async () => {
    const round = await with60(() => {
      throw new RateLimitedError("others go first", { code: "in_line", retryAfterMs: 5_000 });
    });
    for (let sweeps = 0; sweeps < 20; sweeps++, pass(MINUTE / 2)) await round(new AbortController().signal);
    const [warning, ...more] = await harness.ledger.listWarnings(harness.clock.now);
    expect(warning?.text).to.contain("can't ask GitHub before claims");
    expect(more).to.deep.equal([]);
  });

  it("gives up on a GitHub that hangs after a few questions, and tells it once", async () => {
    let asked = 0;
    const round = await with60(async () => {
      asked += 1;
      throw new TransientError("GitHub did not answer in 10 s", { code: "timeout" });
    });
    for (let sweeps = 0; sweeps < 3; sweeps++, pass(MINUTE)) await round(new AbortController().signal);
    // Those that were under way when the second was late.
    expect(asked).to.be.at.most(3 * 6);
    const lines = harness.lines.filter(({ message }) => message === "sweep.blind");
    expect(lines.map(({ fields }) => fields.what)).to.deep.equal(["GitHub", "GitHub", "GitHub"]);
    const warnings = await harness.ledger.listWarnings(harness.clock.now);
    expect(warnings.map(({ text }) => text.split(",")[0])).to.deep.equal(["the sweep can't ask GitHub"]);
  });

  it("goes on in the regions that answer, judges nobody in the one that does not, and warns of it", async () => {
    const { runner } = await launchOne();
    await claim(runner.runnerName);
    await harness.ledger.recordStep(runner.runnerName, "busy", harness.clock.now);
    harness.ec2.end(runner.instanceId as string);
    const stepNow = async () => (await harness.ledger.getRunner(runner.runnerName))?.step;
    for (let round = 0; round < 4; round++) {
      pass(3 * MINUTE);
      harness.ec2.hideNext("us-east-1");
      await sweep();
    }
    expect(await stepNow()).to.equal("busy");
    const warnings = await harness.ledger.listWarnings(harness.clock.now);
    expect(warnings.map(({ text }) => text.split(",")[0])).to.deep.equal([
      "the sweep can't ask provider ec2 in us-east-1",
    ]);
    for (let round = 0; round < 2; round++) {
      harness.ec2.hideNext("eu-west-1");
      pass(3 * MINUTE);
      await sweep();
    }
    expect(await stepNow()).to.equal("finished");
  });

  it("is one at a time across processes", async () => {
    const hanging = harness.ec2.hangNext();
    const controller = new AbortController();
    const first = createSweep(harness, { graceMs: GRACE_MS })(controller.signal);
    await hanging;
    expect(await sweep()).to.equal(false);
    controller.abort(new Error("stop"));
    await first.catch(() => undefined);
    expect(await sweep()).to.equal(true);
  });

  it("warns once of a runner program that GitHub soon refuses, and asks for versions only when there are some", async () => {
    const { runner } = await launchOne();
    await claim(runner.runnerName);
    await sweep();
    expect(harness.github.calls).to.not.include("runnerVersions");
    harness.github.setRunner(SCOPE, { name: runner.runnerName, version: "2.336.0" });
    pass(MINUTE);
    await sweep();
    expect(await harness.ledger.listWarnings(harness.clock.now)).to.deep.equal([]);
    pass(24 * 24 * HOUR);
    for (let round = 0; round < 3; round++) {
      pass(HOUR);
      await sweep();
    }
    const [warning, ...more] = await harness.ledger.listWarnings(harness.clock.now);
    expect([warning?.kind, more.length]).to.deep.equal(["runner-version", 0]);
    expect(warning?.text).to.contain("class linux runs runner program 2.336.0");
    expect(harness.lines.filter(({ message }) => message === "warning.raised")).to.have.length(1);
    harness.github.fail("runnerVersions", new TransientError("down"));
    pass(HOUR);
    await sweep();
    expect(harness.lines.at(-1)?.fields).to.deep.include({ blind: ["GitHub's runner versions"] });
  });

  it("makes a dead letter of what waits for a class that left the catalog, enqueued or not", async () => {
    const enqueued = await harness.addDemand({ runnerClass: "removed" });
    await harness.ledger.recordQueued(makeDemand({ workflowJobId: 2, runnerClass: "removed" }));
    const inQueue = await harness.addDemand({ workflowJobId: 3, runnerClass: "removed" });
    harness.producer.underWay.add(inQueue.key);
    pass(3 * MINUTE);
    await sweep();
    const dead = await harness.ledger.listDead(10);
    expect(dead.map(({ key }) => key)).to.have.members([enqueued.key, "wfj-2"]);
    expect(dead[0]?.failure).to.include({ errorClass: "invalid-spec" });
    expect(harness.lines.filter(({ message }) => message === "runner.failed")).to.have.length(2);
  });
});
