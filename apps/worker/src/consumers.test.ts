import { EventEmitter, once } from "node:events";
import { type Demand, InvalidSpecError } from "@grp/core";
import { createQueueProducer, type QueueProducer } from "@grp/queue";
import { expect } from "chai";
import { type Consumers, startConsumers } from "./consumers.ts";
import type { WorkerContext } from "./context.ts";
import { buryDead } from "./dead.ts";
import { releasePlace } from "./places.ts";
import { type Harness, startHarness } from "./testing/harness.ts";

const POLICY = { transientBaseMs: 20, transientCapMs: 50, noCapacityBaseMs: 50, noCapacityCapMs: 100 };

describe("workers on one Redis", () => {
  let server: Awaited<ReturnType<typeof startHarness>>;
  let harness: Harness;
  let producer: QueueProducer;
  let workers: Consumers[];
  let told: EventEmitter;
  before(async () => {
    server = await startHarness();
  });
  after(() => server.stop());
  beforeEach(async () => {
    harness = await server.create();
    harness.clock.now = Date.now();
    told = new EventEmitter();
    workers = [];
    producer = createQueueProducer({
      redisUrl: server.redis.url,
      deadlineMs: 2_000,
      onError: (error) => told.emit("fault", error),
    });
  });
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.close(2_000)));
    await producer.close();
  });

  const startWorkers = async (count: number) => {
    const tell = (message: string, fields: Record<string, unknown>) => told.emit(message, fields);
    const log: WorkerContext["log"] = { info: tell, warn: tell, error: tell };
    const metrics = { ...harness.metrics, failed: (event: object) => void told.emit("counted", event) };
    const context = harness.with({ producer, log, metrics });
    const settings = { redisUrl: server.redis.url, concurrency: 5, policy: POLICY };
    workers = Array.from({ length: count }, () => startConsumers(context, settings));
    await Promise.all(workers.map((worker) => worker.ready()));
  };
  const enqueue = async (overrides: Partial<Demand> = {}) => {
    const demand = await harness.addDemand({ receivedAt: harness.clock.now, ...overrides });
    await producer.enqueueDemand(demand, "ec2");
    return demand;
  };
  const next = async (message: string) => {
    const [fields] = (await once(told, message)) as [Record<string, unknown>];
    return fields;
  };

  /** The workflow job of this machine ends, and so does the machine. */
  const finish = async (holder: string) => {
    const runner = (await harness.ledger.listLiveRunners()).find((one) => one.placeHolder === holder);
    if (!runner?.instanceId) throw new Error(`${holder} has no machine`);
    const { runnerName, launchId, instanceId } = runner;
    const [at, workflowJobId] = [harness.clock.now, Number(holder.replace("wfj-", ""))];
    await harness.ledger.recordCompleted({ workflowJobId, at, runnerName, runnerId: 1 });
    const base = { version: 1 as const, provider: "ec2" as const, reason: "finished", requestedAt: at };
    await producer.enqueueTermination({ ...base, runnerName, launchId, instanceId });
  };

  it("keep the cap and the order, and start the next the moment a place is free", async () => {
    await startWorkers(3);
    const demands: Demand[] = [];
    for (const _first of [1, 2]) {
      const provisioned = next("runner.provisioned");
      demands.push(await enqueue());
      await provisioned;
    }
    // One after the other: whichever worker asks first stands first.
    for (let count = 1; count <= 6; count++) {
      demands.push(await enqueue());
      await waitUntil(async () => (await harness.ledger.listCaps())[0]?.waiting === count);
    }
    for (const demand of demands.slice(0, 6)) {
      expect(harness.ec2.machines.filter((machine) => machine.state === "live")).to.have.length(2);
      const [begun, provisioned] = [performance.now(), next("runner.provisioned")];
      await finish(demand.key);
      await provisioned;
      expect(performance.now() - begun).to.be.lessThan(1_000);
    }
    const holders = await Promise.all(
      harness.ec2.machines.map(async ({ instance }) =>
        harness.ledger.findRunner(instance.launchId, instance.instanceId),
      ),
    );
    expect(holders.map((runner) => runner?.placeHolder)).to.deep.equal(demands.map((one) => one.key));
  });

  it("find the machine of a lost answer again", async () => {
    harness.ec2.loseNextResponse("launch");
    const provisioned = next("runner.provisioned");
    await enqueue();
    await startWorkers(2);
    expect(await provisioned).to.include({ attempt: 2 });
    expect(harness.ec2.machines).to.have.length(1);
  });

  it("note each try that failed, the later of a row in the place of the earlier", async () => {
    for (const _time of [1, 2]) harness.ec2.failNext("transient", { verb: "launch" });
    const provisioned = next("runner.provisioned");
    const { key } = await enqueue();
    await startWorkers(1);
    await provisioned;
    const notes = (await harness.ledger.getWorkflowJob(key))?.notes ?? [];
    expect(notes.map(({ kind, text }) => [kind, text.slice(0, 6)])).to.deep.equal([["retry", "try 2:"]]);
  });

  it("pass a demand on to the next provider, and back when there is no room there either", async () => {
    harness.codemagic.failNext("no-capacity", { verb: "launch" });
    harness.ec2.failNext("no-capacity", { verb: "launch" });
    const demand = await harness.addDemand({ runnerClass: "mac" });
    await producer.enqueueDemand(demand, "codemagic");
    const launched = new Promise((resolve) =>
      told.on("runner.provisioned", (fields) => fields.outcome === "launched" && resolve(fields)),
    );
    await startWorkers(1);
    expect(await launched).to.include({ provider: "codemagic" });
    expect(harness.ec2.machines).to.deep.equal([]);
  });

  it("pass a demand on where a team is full, and back to its line when there is no room there either", async () => {
    await startWorkers(2);
    const [first, second] = [
      await harness.addDemand({ runnerClass: "mac" }),
      await harness.addDemand({ runnerClass: "mac" }),
    ];
    const provisioned = next("runner.provisioned");
    await producer.enqueueDemand(first, "codemagic");
    await provisioned;
    harness.ec2.failNext("no-capacity", { verb: "launch" });
    const outcomes: unknown[] = [];
    told.on("runner.provisioned", ({ provider, outcome }) => outcomes.push(`${provider} ${outcome}`));
    await producer.enqueueDemand(second, "codemagic");
    const waitsFor = async () => (await harness.ledger.getWorkflowJob(second.key))?.waitsFor;
    await waitUntil(async () => (await waitsFor()) === "cap codemagic:default (0 ahead)");
    await waitUntil(async () => outcomes.length === 2);
    expect(outcomes.splice(0)).to.deep.equal(["codemagic handed-over", "ec2 handed-over"]);
    await releasePlace(harness.with({ producer }), first.key);
    await waitUntil(async () => outcomes.length > 0);
    expect(outcomes).to.deep.equal(["codemagic launched"]);
    expect(harness.ec2.machines).to.deep.equal([]);
  });

  it("count a failed demand once, in a metric and a dead letter, and write its error line each time it is told", async () => {
    harness.ec2.failNext("invalid-spec", { verb: "launch" });
    const seen: [string, Record<string, unknown>][] = [];
    for (const name of ["runner.failed", "counted"]) told.on(name, (fields) => seen.push([name, fields]));
    const failed = next("runner.failed");
    const demand = await enqueue();
    await startWorkers(2);
    await failed;
    // As a worker that died in between would have it told again.
    const error = new InvalidSpecError("no such image", { code: "InvalidAMIID.NotFound" });
    const work = { provider: "ec2", jobId: demand.key, demand, error, attempts: 1 } as const;
    await buryDead(
      harness.with({ metrics: { ...harness.metrics, failed: () => seen.push(["again", {}]) } }),
      work,
    );
    expect(seen.map(([name]) => name).sort()).to.deep.equal(["counted", "runner.failed"]);
    expect(harness.lines.filter(({ message }) => message === "runner.failed")).to.have.nested.property(
      "[0].fields.isRepeat",
      true,
    );
    expect(seen.find(([name]) => name === "runner.failed")?.[1]).to.include({
      ...{ key: demand.key, errorClass: "invalid-spec", attempts: 1 },
    });
    expect(await harness.ledger.listDead(10)).to.have.length(1);
  });

  it("give the work back when stopped, and another goes on with it", async () => {
    const hanging = harness.ec2.hangNext();
    await enqueue();
    await startWorkers(1);
    await hanging;
    const [stopped] = workers;
    await stopped?.close(50);
    const provisioned = next("runner.provisioned");
    await startWorkers(1);
    expect(await provisioned).to.include({ attempt: 1 });
    expect(harness.ec2.machines).to.have.length(1);
  });
});

/** For what nothing tells of: looks every few milliseconds, until the test's own deadline. */
async function waitUntil(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 5));
}
