import { once } from "node:events";
import { type Demand, orderOf, type Turn } from "@grp/core";
import { createBudget } from "@grp/ledger";
import { createQueueConsumer, createQueueProducer } from "@grp/queue";
import { createRedis } from "@grp/runtime";
import { expect } from "chai";
import { startRedis, type TestRedis } from "../../../test/support/redis.ts";
import { createGatherer } from "./gatherer.ts";

/** A tenth of what is shipped, so that a test sees the hands full. */
const [HANDS, LAUNCH_SIZE, PER_SECOND] = [20, 10, 4];

const MANY = 50;

describe("launches that wait for EC2's machines", () => {
  let redis: TestRedis;
  let client: ReturnType<typeof createRedis>;
  before(async () => {
    redis = await startRedis();
    client = createRedis(redis.url, { name: "grp-hands-test", onError: () => undefined });
    await once(client, "ready");
  });
  after(async () => {
    client.disconnect();
    await redis.stop();
  });

  const demandOf = (workflowJobId: number, repository: string): Demand => ({
    ...{ version: 1, key: `wfj-${workflowJobId}`, workflowJobId, runId: 7, runAttempt: 1 },
    ...{ owner: "acme", repository, scope: { kind: "repository", owner: "acme", repository } },
    ...{ runnerClass: "farm", labels: ["farm"], generation: 1, offeringIndex: 0 },
    ...{ queuedAt: workflowJobId, receivedAt: workflowJobId, deliveryId: "d", dryRun: false },
  });

  it("leave hands free for another region and for the end of machines; the oldest go first, and none is lost", async () => {
    const budget = createBudget({ redis: client });
    const admit = async (region: string, wanted: number) => {
      const limit = { kind: "bucket", name: region, capacity: 20, perSecond: PER_SECOND } as const;
      const verdict = await budget.spend({ ways: [[{ limit, cost: wanted, least: 1 }]] });
      if (verdict.granted) return { granted: verdict.amount };
      return {
        waitMs: verdict.waitMs,
        shortage: { name: region, everyMs: 1_000 / PER_SECOND, machines: 1 },
      };
    };
    const gatherer = createGatherer<Demand, number>({ mostHeld: HANDS / 2 });
    const begun: string[] = [];
    const attempts = new Set<number>();
    let tell = () => {};
    const happened = async (isSo: () => boolean) => {
      while (!isSo()) await new Promise<void>((resolve) => (tell = resolve));
    };
    const note = (what: string) => {
      begun.push(what);
      tell();
    };
    const consumer = createQueueConsumer({
      redisUrl: redis.url,
      provider: "ec2",
      concurrency: HANDS,
      onDead: async ({ jobId }) => note(`dead ${jobId}`),
      onRetry: () => tell(),
      onError: () => undefined,
      processors: {
        async provision(demand, work) {
          attempts.add(work.attempt);
          const { repository: key, queuedAt: order } = demand;
          await gatherer.join({
            ...{ key, order, member: demand, limit: LAUNCH_SIZE, signal: work.signal },
            admit: (wanted) => admit(key, wanted),
            run: async (members) => members.map(({ workflowJobId }) => workflowJobId),
          });
          note(`${key} ${order}`);
          return { kind: "done", result: null };
        },
        async terminate() {
          note("end");
          return { kind: "done", result: null };
        },
      },
    });
    const producer = createQueueProducer({
      redisUrl: redis.url,
      deadlineMs: 5_000,
      onError: () => undefined,
    });
    const many = Array.from({ length: MANY }, (_none, index) => demandOf(1_000 + index, "east"));
    for (const demand of many) await producer.enqueueDemand(demand, "ec2");
    await producer.enqueueDemand(demandOf(5_000, "west"), "ec2");
    const what = { version: 1, provider: "ec2", reason: "idle", requestedAt: 1 } as const;
    await producer.enqueueTermination({ ...what, runnerName: "grp-a-0", launchId: "l-1" });
    await happened(() => begun.includes("end") && begun.includes("west 5000"));
    const before = begun.filter((one) => one.startsWith("east"));
    // Without free hands, they come after the last but as many as there are hands.
    expect(before.length).to.be.lessThan(MANY - HANDS);
    await happened(() => begun.length === MANY + 2);
    const east = begun.filter((one) => one.startsWith("east"));
    expect(new Set(east).size).to.equal(MANY);
    expect([...attempts]).to.deep.equal([1]);
    // Those who come back are spread over a quarter of their wait, so neighbours may change places.
    const oldest = east.slice(0, MANY / 2).filter((one) => Number(one.split(" ")[1]) < 1_000 + MANY * 0.7);
    expect(oldest.length).to.be.greaterThan(MANY * 0.4);
    await producer.close();
    await consumer.close(1_000);
  }).timeout(60_000);

  it("go by their class' priority and then by age, whichever line and process they wait in", async () => {
    const budget = createBudget({ redis: client });
    const limit = { kind: "bucket", name: "calls", capacity: 2, perSecond: 5 } as const;
    const admit = async (_wanted: number, turn: Turn) => {
      const verdict = await budget.spend({ ways: [[{ limit, cost: 1 }]], turn });
      return verdict.granted ? { granted: 1 } : { waitMs: verdict.waitMs };
    };
    // A second's worth of debt: all stand in line before the first may go.
    await budget.spend({ ways: [[{ limit, cost: 7, borrow: true }]] });
    const begun: number[] = [];
    const run = async (members: readonly number[]) => {
      begun.push(...members);
      return members;
    };
    const processes = [createGatherer<number, number>(), createGatherer<number, number>()];
    const orders = [
      ...[50, 20, 40, 10, 30].map((at) => orderOf(1, at)),
      ...[70, 60].map((at) => orderOf(0, at)),
    ];
    const { signal } = new AbortController();
    const all = orders.map((order, index) =>
      processes[index % 2]?.join({ key: `${index}`, member: order, order, limit: 1, admit, run, signal }),
    );
    await Promise.all(all);
    expect(begun).to.deep.equal(orders.toSorted((one, other) => one - other));
  });
});
