import { createGitHub } from "@grp/github";
import type { Scheduler } from "@grp/queue";
import { expect } from "chai";
import { createGitHubStandIn, type GitHubStandIn } from "../../../packages/sandbox/src/github/index.ts";
import { startRecovery } from "./start-recovery.ts";
import { type Harness, makeDemand, startHarness } from "./testing/harness.ts";
import { type Receiver, startReceiver } from "./testing/receiver.ts";

describe("startRecovery", () => {
  let test: Awaited<ReturnType<typeof startHarness>>;
  let harness: Harness;
  let standIn: GitHubStandIn;
  let receiver: Receiver;
  const workers: Scheduler[] = [];
  before(async () => {
    test = await startHarness();
  });
  after(() => test.stop());
  beforeEach(async () => {
    harness = await test.create();
    standIn = await createGitHubStandIn();
    receiver = await startReceiver();
    await standIn.addHook({ url: `${receiver.url}/webhook`, secret: "secret" });
  });
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.close(500)));
    await standIn.close();
    await receiver.close();
  });

  /** One more worker on the same Redis, with a client of its own. */
  async function startWorker(dryRun = false): Promise<Scheduler> {
    const auth = { kind: "apps", apps: standIn.apps } as const;
    const context = harness.with({
      dryRun,
      now: Date.now,
      github: createGitHub({ auth, baseUrl: standIn.url }),
    });
    const worker = startRecovery(context, {
      REDIS_URL: test.redis.url,
      REDELIVERY_INTERVAL: 1,
      UNHEARD_INTERVAL: 1,
      WEBHOOK_URL: `${receiver.url}/webhook`,
      ALERT_WEBHOOK_URL: `${receiver.url}/alert`,
      ALERT_INTERVAL: 15,
    });
    workers.push(worker);
    await worker.ready();
    return worker;
  }

  const deliveries = () => receiver.received.filter(({ path, guid }) => path === "/webhook" && guid !== "");
  const rounds = () => standIn.calls.filter(({ route }) => route === "GET /app/hook/deliveries").length;

  it("has each failed delivery sent once, though several workers run and one ends", async () => {
    const order = { owner: "acme", repository: "app", labels: ["linux"] };
    standIn.dropNext(5);
    for (let index = 0; index < 5; index++) standIn.queueWorkflowJob(order);
    const [first] = await Promise.all([startWorker(), startWorker(), startWorker()]);
    await standIn.until(() => deliveries().length >= 6, "the redeliveries");
    await first?.close(500);
    const before = rounds();
    await standIn.until(() => rounds() >= before + 2, "two more rounds");
    expect(deliveries()).to.have.length(6);
    expect(new Set(deliveries().map(({ guid }) => guid)).size).to.equal(6);
  });

  it("changes nothing from a dry worker, and alerts all the same", async () => {
    const demand = makeDemand();
    const failure = { at: Date.now(), errorClass: "unauthorized", message: "no right", demand };
    await harness.ledger.recordFailure(demand.key, failure);
    standIn.dropNext(1);
    standIn.queueWorkflowJob({ owner: "acme", repository: "app", labels: ["linux"] });
    await startWorker(true);
    const hasAlert = () => receiver.received.some(({ path }) => path === "/alert");
    while (!hasAlert()) await new Promise((resolve) => setImmediate(resolve));
    expect(rounds()).to.equal(0);
  });
});
