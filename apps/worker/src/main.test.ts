import { createQueueProducer, type QueueProducer } from "@grp/queue";
import { createEc2StandIn, type Ec2StandIn } from "@grp/sandbox/ec2";
import { expect } from "chai";
import {
  APP,
  codemagicOrder,
  createTestCodemagic,
} from "../../../packages/providers/src/testing/codemagic-cloud.ts";
import { listLiveBuilds } from "./live-places.ts";
import { type Harness, makeDemand, startHarness } from "./testing/harness.ts";
import { makeEnvironment, startWorkerProcess, type WorkerProcess } from "./testing/worker-process.ts";

const working = new AbortController().signal;

describe("the worker process", function () {
  // Processes start slowly on a busy machine; every wait ends with its event.
  this.timeout(60_000);
  let server: Awaited<ReturnType<typeof startHarness>>;
  let harness: Harness;
  let ec2: Ec2StandIn;
  let settings: ReturnType<typeof makeEnvironment>;
  let producer: QueueProducer;
  let workers: WorkerProcess[];
  before(async () => {
    server = await startHarness();
  });
  after(() => server.stop());
  beforeEach(async () => {
    harness = await server.create();
    harness.clock.now = Date.now();
    ec2 = await createEc2StandIn();
    settings = makeEnvironment(server.redis.url, ec2.url);
    producer = createQueueProducer({
      redisUrl: server.redis.url,
      deadlineMs: 2_000,
      onError: () => undefined,
    });
    workers = [];
  });
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.end("SIGKILL")));
    await producer.close();
    await ec2.close();
    settings.clean();
  });

  const start = (changes: Record<string, string> = {}, args: readonly string[] = []) => {
    const worker = startWorkerProcess({ ...settings.environment, ...changes }, args);
    workers.push(worker);
    return worker;
  };

  it("names every bad setting at once and does not start", async () => {
    const worker = start({
      REDIS_URL: "",
      TICKET_SECRET: "",
      RUNNERS_FILE: "/nowhere.yaml",
      DRY_RUN: "ture",
    });
    expect(await worker.exited).to.equal(2);
    for (const name of ["REDIS_URL", "TICKET_SECRET", "RUNNERS_FILE", "DRY_RUN"])
      expect(worker.output()).to.contain(name);
  });

  it("checks its settings and Redis on --check, and explains itself on --help", async () => {
    const check = start({}, ["--check"]);
    expect(await check.exited).to.equal(0);
    expect(check.output()).to.contain("ok: 1 runner classes");
    const offline = start({ REDIS_URL: "redis://127.0.0.1:9" }, ["--check-settings"]);
    expect(await offline.exited).to.equal(0);
    expect(offline.output()).to.contain("ok: 1 runner classes, Redis not asked");
    const help = start({ REDIS_URL: "" }, ["--help"]);
    expect(await help.exited).to.equal(0);
    expect(help.output()).to.contain("SWEEP_INTERVAL");
  });

  it("launches, prints no secret, and ends cleanly on SIGTERM", async () => {
    const worker = start();
    await producer.enqueueDemand(await harness.addDemand(), "ec2");
    expect(await worker.line("runner.provisioned")).to.include({ outcome: "launched", provider: "ec2" });
    expect(ec2.instances()).to.have.length(1);
    expect(await worker.end("SIGTERM")).to.equal(0);
    expect(worker.output()).not.to.match(/grp1\.|a ticket secret|a token for tests/);
  });

  it("plans only with --dry-run", async () => {
    const worker = start({}, ["--dry-run"]);
    await producer.enqueueDemand(await harness.addDemand(), "ec2");
    await worker.line("runner.planned");
    expect(ec2.instances()).to.deep.equal([]);
  });

  it("sweeps by itself: what was written down and never enqueued gets its machine", async () => {
    await harness.ledger.recordQueued(makeDemand({ receivedAt: Date.now() - 60_000 }));
    const worker = start({ SWEEP_INTERVAL: "1", SWEEP_GRACE: "1" });
    expect(await worker.line("sweep.done")).to.have.deep.property("byRule", { "never-enqueued": 1 });
    expect(await worker.line("runner.provisioned")).to.include({ outcome: "launched" });
  });

  it("ends a build of an offering that was taken out of the catalog, as long as there is a token", async () => {
    const { provider, standIn } = await createTestCodemagic();
    try {
      const { ledger } = harness;
      const demand = await harness.addDemand({ runnerClass: "mac" });
      const at = Date.now();
      const { launchId } = codemagicOrder("l-0123456789abcdef01234567");
      await ledger.openLaunch({
        ...{ launchId, at, provider: "codemagic", runnerClass: "mac", scope: demand.scope },
        ...{ offeringIndex: 0, offeringDigest: "0123456789abcdef", renewal: 0 },
        ...{ placeHolders: [demand.key], ticketExpiresAt: at },
        runnerNames: ["grp-0123456789abcdef01234567-0"],
      });
      const recordPlacement = (app: string) => ledger.recordPlacement(launchId, app);
      const builds = await provider.launch(codemagicOrder(launchId, { recordPlacement }), working);
      await ledger.recordLaunched(launchId, builds, at);
      expect(await listLiveBuilds(ledger)).to.deep.equal([{ app: APP, buildId: builds[0]?.instanceId }]);
      await ledger.recordCompleted({ workflowJobId: demand.workflowJobId, at, conclusion: "cancelled" });
      await ledger.recordStep("grp-0123456789abcdef01234567-0", "finished", at);
      const codemagic = {
        CODEMAGIC_TOKEN: standIn.token,
        CODEMAGIC_API_URL: standIn.url,
        CODEMAGIC_V3_API_URL: standIn.v3Url,
      };
      const worker = start({ ...codemagic, SWEEP_INTERVAL: "1", SWEEP_GRACE: "1" });
      const buildId = builds[0]?.instanceId;
      expect(await worker.line("instance.reaped")).to.include({ provider: "codemagic", instanceId: buildId });
      expect(standIn.builds().map(({ isLive }) => isLive)).to.deep.equal([false]);
    } finally {
      await standIn.close();
    }
  });

  it("killed in the middle of a launch, leaves one machine, which the next worker finds", async () => {
    // The lock of the dead worker's queue job runs out first: 10 to 15 s.
    const arrived = ec2.hangNext("RunInstances");
    const demand = await harness.addDemand();
    await producer.enqueueDemand(demand, "ec2");
    const first = start();
    await arrived;
    await first.end("SIGKILL");
    expect(ec2.instances()).to.have.length(1);
    expect((await harness.ledger.listLiveRunners())[0]).to.include({ step: "launching" });
    const second = start();
    expect(await second.line("runner.provisioned")).to.include({ key: demand.key, outcome: "launched" });
    expect(ec2.instances()).to.have.length(1);
    const [runner] = await harness.ledger.listLiveRunners();
    expect(runner).to.include({ step: "launched", instanceId: ec2.instances()[0]?.instanceId });
    expect((await harness.ledger.listCaps())[0]?.used).to.equal(1);
  });
});
