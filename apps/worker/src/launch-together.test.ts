import type { Demand, RunnerProvider, Turn } from "@grp/core";
import type { Ledger } from "@grp/ledger";
import type { WorkContext, WorkOutcome } from "@grp/queue";
import { expect } from "chai";
import type { WorkerContext } from "./context.ts";
import { createGatherer } from "./gatherer.ts";
import { provision } from "./provision.ts";
import { terminate } from "./terminate.ts";
import { type Harness, makeWork, useHarness } from "./testing/harness.ts";

describe("launches of several", () => {
  let harness: Harness;
  useHarness((fresh) => {
    harness = fresh;
  });

  const addDemands = async (count: number) => {
    const demands: Demand[] = [];
    while (demands.length < count) demands.push(await harness.addDemand({ runnerClass: "farm" }));
    return demands;
  };
  const run = (demand: Demand, context: WorkerContext = harness, work: Partial<WorkContext> = {}) =>
    provision(context, "ec2", demand, makeWork({ jobId: demand.key, ...work }));
  const runAll = (demands: readonly Demand[], context?: WorkerContext, work?: Partial<WorkContext>) =>
    Promise.all(demands.map((demand) => run(demand, context, work).catch((error: Error) => error)));
  /** Another worker process on the same Redis and clouds. */
  const anotherWorker = (overrides: Partial<WorkerContext> = {}) =>
    harness.with({ gatherer: createGatherer(), ...overrides });
  const launches = () => harness.ec2.calls.filter((call) => call.startsWith("launch"));
  const sizes = () => {
    const orders = new Map(harness.ec2.machines.map(({ order }) => [order?.launchId, order?.size ?? 0]));
    return [...orders.values()];
  };
  const usedOf = async (name: string) =>
    (await harness.ledger.listCaps()).find((cap) => cap.name === name)?.used;
  const resultOf = (outcome: WorkOutcome | Error) =>
    "result" in outcome ? (outcome.result as Record<string, unknown>) : undefined;

  /** Each demand has a machine of its own, and the ledger and the cloud agree on it. */
  const expectOneEach = async (demands: readonly Demand[]) => {
    const runners = await harness.ledger.listLiveRunners();
    expect(runners.map((runner) => runner.placeHolder)).to.have.members(demands.map((one) => one.key));
    const ids = harness.ec2.machines.map(({ instance }) => instance.instanceId);
    expect(runners.map((runner) => runner.instanceId)).to.have.members(ids);
    expect(await usedOf("class:farm")).to.equal(demands.length);
  };

  /** A process that dies before its ledger call of that name: nothing of it is heard again, its locks stay for a while. */
  const dyingBefore = (name: keyof Ledger): { context: WorkerContext; died: Promise<void> } => {
    const forever = new Promise<never>(() => undefined);
    let die: () => void = () => undefined;
    const died = new Promise<void>((resolve) => (die = resolve));
    let isDead = false;
    const ledger = new Proxy(harness.ledger, {
      get(target, property, receiver) {
        if (property === name) {
          return () => {
            isDead = true;
            die();
            return forever;
          };
        }
        const member = Reflect.get(target, property, receiver);
        return (...args: unknown[]) =>
          isDead ? forever : (member as (...all: unknown[]) => unknown)(...args);
      },
    });
    return { context: anotherWorker({ ledger }), died };
  };

  it("are one call for all that come while another is in flight, each with a machine of its own", async () => {
    const demands = await addDemands(40);
    const outcomes = await runAll(demands);
    await expectOneEach(demands);
    expect(launches().length).to.be.lessThan(10);
    const told = outcomes.map((outcome) => resultOf(outcome)?.instanceId);
    expect(new Set(told)).to.have.length(40);
    const runner = await harness.ledger.findRunner(
      String(resultOf(outcomes[7] as WorkOutcome)?.launchId),
      String(told[7]),
    );
    expect(runner?.placeHolder).to.equal(demands[7]?.key);
  });

  it("are no larger than the provider's limit", async () => {
    const demands = await addDemands(230);
    await runAll(demands);
    await expectOneEach(demands);
    expect(Math.max(...sizes())).to.equal(100);
  });

  it("go out beside one that is not answered yet, when they fill a call", async () => {
    // However many the first takes, the rest is enough for one full call and not for two.
    const demands = await addDemands(200);
    const hung = harness.ec2.hangNext();
    const stop = new AbortController();
    const launched: Demand[] = [];
    const { promise: areAllOfOneCall, resolve } = Promise.withResolvers<void>();
    const runs = demands.map(async (one) => {
      const outcome = await run(one, harness, { signal: stop.signal }).catch(() => undefined);
      if (outcome && launched.push(one) === 100) resolve();
    });
    await hung;
    await areAllOfOneCall;
    stop.abort();
    await Promise.all(runs);
    expect(new Set(sizes())).to.deep.equal(new Set([100]));
    expect(harness.ec2.machines).to.have.length(launched.length);
  });

  it("say that they wait for the budget while there is no leave to call, and no more once they have it", async () => {
    const demands = await addDemands(3);
    const waitsFor = () =>
      Promise.all(demands.map(async ({ key }) => (await harness.ledger.getWorkflowJob(key))?.waitsFor));
    let isLeft = false;
    const provider = harness.ec2;
    const ec2: RunnerProvider = {
      ...provider,
      admit: async (_offering: unknown, wanted: number) => (isLeft ? { granted: wanted } : { waitMs: 20 }),
    };
    const context = anotherWorker({ providers: new Map([...harness.providers, ["ec2", ec2]]) });
    const running = runAll(demands, context);
    while ((await waitsFor()).some((text) => text !== "budget ec2"));
    isLeft = true;
    await running;
    expect(await waitsFor()).to.deep.equal([undefined, undefined, undefined]);
    await expectOneEach(demands);
  });

  it("wait for the budget by their class's priority of now, and then by age", async () => {
    const orders: number[] = [];
    const ec2: RunnerProvider = {
      ...harness.ec2,
      async admit(_offering: unknown, wanted: number, turn?: Turn) {
        orders.push(turn?.order ?? 0);
        return { granted: wanted };
      },
    };
    const classes = harness.catalog.classes.map((one) => ({
      ...one,
      priority: one.name === "farm" ? 10 : 0,
    }));
    const context = anotherWorker({
      catalog: { ...harness.catalog, classes },
      providers: new Map([...harness.providers, ["ec2", ec2]]),
    });
    // Each with the rank that it had while others were the priorities.
    await run(await harness.addDemand({ runnerClass: "linux" }), context);
    await run(await harness.addDemand({ runnerClass: "farm", rank: 50 }), context);
    await run(await harness.addDemand({ runnerClass: "farm" }), context);
    const [low, early, late] = orders as [number, number, number];
    expect([early < late, late < low]).to.deep.equal([true, true]);
  });

  it("carry their size in the ticket, and one runner name for each machine", async () => {
    await runAll(await addDemands(5));
    for (const { order } of harness.ec2.machines) {
      const verdict = harness.signer.verify(order?.boot.ticket ?? "", harness.clock.now);
      expect(verdict.ok && verdict.ticket.size).to.equal(order?.size);
    }
    const names = (await harness.ledger.listLiveRunners()).map((runner) => runner.runnerName);
    expect(new Set(names)).to.have.length(5);
  });

  it("share out what a provider with little room starts, oldest first; the rest asks again and then elsewhere", async () => {
    const demands = await addDemands(5);
    harness.ec2.limitRoom(3);
    const outcomes = await runAll(demands);
    expect(outcomes.map((outcome) => resultOf(outcome)?.outcome ?? (outcome as Error).name)).to.deep.equal([
      ...["launched", "launched", "launched"],
      ...["NoCapacityError", "NoCapacityError"],
    ]);
    await expectOneEach(demands.slice(0, 3));
    harness.ec2.limitRoom(5);
    await runAll(demands.slice(3));
    await expectOneEach(demands);
  });

  it("leave out whoever is not missed any more, and give its place back", async () => {
    const demands = await addDemands(4);
    const [first] = demands as [Demand];
    const hanging = harness.ec2.hangNext();
    const stop = new AbortController();
    const begun = run(first, harness, { signal: stop.signal }).catch((error: Error) => error);
    await hanging;
    const gathering = runAll(demands.slice(1));
    await waitForPlaces(4);
    const workflowJobId = demands[2]?.workflowJobId as number;
    await harness.ledger.recordCompleted({ workflowJobId, at: harness.clock.now, conclusion: "cancelled" });
    stop.abort();
    await begun;
    const outcomes = (await gathering).map((outcome) => resultOf(outcome)?.outcome);
    expect(outcomes).to.have.members(["launched", "launched", "skipped"]);
    expect(await usedOf("class:farm")).to.equal(3);
  });

  const waitForPlaces = async (count: number) => {
    while ((await usedOf("class:farm")) !== count) await new Promise(setImmediate);
    // The last of them has its place, and is on its way into the gatherer.
    for (let turn = 0; turn < 20; turn++) await harness.ledger.getMark("nothing");
  };

  it("are given back by a worker that stops while they gather, with nothing started", async () => {
    const demands = await addDemands(3);
    const stop = new AbortController();
    const hanging = harness.ec2.hangNext();
    const all = runAll(demands, harness, { signal: stop.signal });
    await hanging;
    await waitForPlaces(3);
    stop.abort(new Error("the worker is stopping"));
    for (const outcome of await all) expect(outcome).to.be.instanceOf(Error);
    expect(harness.ec2.machines).to.have.length(0);
    await runAll(demands, anotherWorker());
    await expectOneEach(demands);
  });

  it("find their machines again after a lost answer, with one call for all", async () => {
    const demands = await addDemands(10);
    harness.ec2.loseNextResponse("launch");
    const outcomes = await runAll(demands);
    const lost = demands.filter((_demand, index) => outcomes[index] instanceof Error);
    const before = launches().length;
    await runAll(lost, anotherWorker(), { attempt: 2 });
    expect(launches().length - before).to.equal(1);
    await expectOneEach(demands);
  });

  it("ask a provider that fails once for all who come back at about the same time", async () => {
    const demands = await addDemands(10);
    harness.ec2.failNext("transient", { verb: "launch", times: 100 });
    for (const outcome of await runAll(demands)) expect(outcome).to.have.property("errorClass", "transient");
    const before = launches().length;
    for (const demand of demands) {
      const error = await run(demand, harness, { attempt: 2, leastRetryMs: 60_000 }).catch(
        (thrown) => thrown,
      );
      expect(error).to.have.property("errorClass", "transient");
    }
    const opened = new Set((await harness.ledger.listLiveRunners()).map(({ launchId }) => launchId));
    expect(opened.size).to.be.lessThan(10);
    expect(launches().length - before).to.equal(opened.size);
  });

  for (const point of ["takeUp", "takePlace", "openLaunch", "recordLaunched", "unlock"] as const)
    it(`go on under the same id when their process dies before ${point}`, async () => {
      const demands = await addDemands(6);
      const { context, died } = dyingBefore(point);
      void runAll(demands, context);
      await died;
      await harness.expireLocks();
      await runAll(demands, anotherWorker());
      await expectOneEach(demands);
      const ids = (await harness.ledger.listLiveRunners()).map(({ launchId }) => launchId);
      expect(new Set(launches())).to.have.length(new Set(ids).size);
    });

  it("are called for by one process at a time; the other waits, and uses no attempt", async () => {
    const demands = await addDemands(4);
    const hanging = harness.ec2.hangNext();
    const stop = new AbortController();
    const begun = runAll(demands.slice(0, 1), harness, { signal: stop.signal });
    await hanging;
    const meanwhile = await run(demands[0] as Demand, anotherWorker());
    expect(meanwhile).to.include({ kind: "wait", why: "its launch is under way elsewhere" });
    stop.abort();
    await begun;
    await runAll(demands, anotherWorker());
    await expectOneEach(demands);
  });

  it("start nothing twice when two workers have the same queue jobs at once", async () => {
    const demands = await addDemands(20);
    const [one, two] = [anotherWorker(), anotherWorker()];
    await Promise.all([runAll(demands, one), runAll(demands.toReversed(), two)]);
    await runAll(demands, one);
    await expectOneEach(demands);
  });

  it("end one machine and not its siblings when its instance is not known", async () => {
    const demands = await addDemands(3);
    await runAll(demands);
    const [runner] = await harness.ledger.listLiveRunners();
    const { runnerName, launchId } = runner as { runnerName: string; launchId: string };
    const termination = { version: 1 as const, provider: "ec2" as const, reason: "idle", requestedAt: 0 };
    await terminate(harness, { ...termination, runnerName: `${runnerName}-unknown`, launchId }, makeWork());
    expect(harness.ec2.machines.filter(({ state }) => state === "live")).to.have.length(3);
  });
});
