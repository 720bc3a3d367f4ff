import { createQueueConsumer } from "@grp/queue";
import { expect } from "chai";
import { CATALOG } from "./testing/catalog.ts";
import { deliver, type TestIngress } from "./testing/ingress.ts";
import { workflowJob } from "./testing/payloads.ts";
import { useIngress } from "./testing/suite.ts";

/** Takes the queue's work as a worker would, and tells of each. */
async function runQueue(redisUrl: string, concurrency = 10) {
  const ran: string[] = [];
  const consumer = createQueueConsumer({
    redisUrl,
    provider: "ec2",
    concurrency,
    processors: {
      async provision(demand) {
        ran.push(demand.key);
        return { kind: "done", result: "launched" };
      },
      terminate: async () => ({ kind: "done", result: "gone" }),
    },
    onDead: async () => undefined,
    onError: () => undefined,
  });
  await consumer.ready();
  return { ran, close: () => consumer.close(1_000) };
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 8_000;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error(`not within 8 s: ${isTrue}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("the same delivery fifty times at once", () => {
  const suite = useIngress();
  let ingresses: TestIngress[];
  beforeEach(async () => {
    ingresses = [await suite.start(), await suite.start()];
  });
  const send = (payload: object, times: number) =>
    Promise.all(
      Array.from({ length: times }, (_none, index) =>
        deliver(ingresses[index % 2] as TestIngress, payload, { deliveryId: "d-1", form: index % 3 === 0 }),
      ),
    );
  const outcomes = (answers: Awaited<ReturnType<typeof send>>) =>
    [...new Set(answers.map(({ status, body }) => `${status} ${body.outcome}`))].sort();

  it("makes one queue job over two processes, and no other once that is done", async () => {
    const [ingress] = ingresses as [TestIngress];
    const payload = workflowJob("queued");
    const key = `wfj-${payload.workflow_job.id}`;
    const first = outcomes(await send(payload, 50));
    expect(first).to.include("202 enqueued");
    expect(["200 duplicate", "202 enqueued"]).to.include.members(first);
    expect(await ingress.waiting("ec2")).to.equal(1);

    const queue = await runQueue(suite.redis.url);
    try {
      const done = async () =>
        (await ingress.producer.counts()).some(
          ({ provider, state, count }) => provider === "ec2" && state === "completed" && count === 1,
        );
      await until(done);
      expect(outcomes(await send(payload, 50))).to.deep.equal(["200 duplicate"]);
      // A job of its own goes the whole way behind anything that the fifty might have left.
      const other = workflowJob("queued");
      await send(other, 1);
      await until(async () => queue.ran.includes(`wfj-${other.workflow_job.id}`));
      expect(queue.ran).to.deep.equal([key, `wfj-${other.workflow_job.id}`]);
    } finally {
      await queue.close();
    }
  });

  it("makes one planned queue job of a dry run", async () => {
    const payload = workflowJob("queued");
    const answers = await Promise.all(
      Array.from({ length: 50 }, () =>
        deliver(ingresses[0] as TestIngress, payload, { deliveryId: "d-1", query: "?dry-run=true" }),
      ),
    );
    expect(outcomes(answers)).to.deep.equal(["202 enqueued"]);
    expect(await (ingresses[0] as TestIngress).waiting("ec2")).to.equal(1);
  });
});

describe("deliveries of classes with priorities", () => {
  const suite = useIngress();

  it("are worked on by priority, and in the order of their arrival within one", async () => {
    const classes = CATALOG.classes.map((one) =>
      one.name === "ubuntu-arm64" ? { ...one, priority: 7 } : one,
    );
    const ingress = await suite.start({ context: { catalog: { ...CATALOG, classes } } });
    const low = () => workflowJob("queued", { job: { labels: ["k8s"] } });
    const high = () => workflowJob("queued", { job: { labels: ["ubuntu-arm64"] } });
    const sent = [low(), high(), low(), high()];
    for (const payload of sent) expect((await deliver(ingress, payload)).status).to.equal(202);
    const queue = await runQueue(suite.redis.url, 1);
    try {
      await until(async () => queue.ran.length === 4);
      const keys = sent.map((payload) => `wfj-${payload.workflow_job.id}`);
      expect(queue.ran).to.deep.equal([1, 3, 0, 2].map((at) => keys[at]));
    } finally {
      await queue.close();
    }
  });
});
