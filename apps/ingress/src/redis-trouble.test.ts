import { expect } from "chai";
import { type FailoverPair, startFailoverPair } from "../../../test/support/failover.ts";
import { deliver, recordWithMark, type TestAnswer, type TestIngress } from "./testing/ingress.ts";
import { workflowJob } from "./testing/payloads.ts";
import { useIngress } from "./testing/suite.ts";

/** GitHub waits 10 s; DESIGN promises 2. */
const LIMIT_MS = 2_000;

describe("with Redis in trouble", () => {
  const suite = useIngress();
  let ingress: TestIngress;
  let pair: FailoverPair | undefined;
  afterEach(async () => {
    await pair?.stop();
    pair = undefined;
    await suite.redis.restart();
  });

  function expectUnavailable(answer: TestAnswer): void {
    expect(answer.status).to.equal(503);
    expect(answer.body).to.include({ outcome: "unavailable", reason: "redis" });
    expect(answer.headers.get("retry-after")).to.equal("5");
    expect(answer.ms).to.be.below(LIMIT_MS);
    // Why is for our log alone.
    expect(answer.text).not.to.match(/ECONN|OOM|timed out|Stream/i);
  }

  /** Sends again and again, as a person or the recovery sweep would, until it is taken. */
  async function recovers(payload: object): Promise<TestAnswer> {
    const end = Date.now() + 8_000;
    for (;;) {
      const answer = await deliver(ingress, payload);
      if (answer.status !== 503) return answer;
      if (Date.now() > end) throw new Error("still 503 after 8 s");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async function expectOneJob(payload: { workflow_job: { id: number } }): Promise<void> {
    const again = await recovers(payload);
    expect([200, 202]).to.include(again.status);
    await recordWithMark(ingress, `wfj-${payload.workflow_job.id}`);
    expect(await ingress.producer.isUnderWay("ec2", `wfj-${payload.workflow_job.id}`)).to.equal(true);
    expect(await ingress.waiting("ec2")).to.equal(1);
  }

  const TROUBLES: Readonly<Record<string, { begin(): Promise<void>; end(): Promise<void> }>> = {
    "killed (and back with its data)": {
      begin: () => suite.redis.kill(),
      end: () => suite.redis.restart(),
    },
    "frozen (SIGSTOP)": {
      begin: async () => suite.redis.pause(),
      end: async () => suite.redis.resume(),
    },
    "paused for writes (CLIENT PAUSE)": {
      begin: async () => void (await suite.client.client("PAUSE", 60_000, "WRITE")),
      end: async () => void (await suite.client.client("UNPAUSE")),
    },
    "full (maxmemory)": {
      begin: async () => void (await suite.client.config("SET", "maxmemory", "1")),
      end: async () => void (await suite.client.config("SET", "maxmemory", "0")),
    },
  };

  for (const [what, { begin, end }] of Object.entries(TROUBLES)) {
    it(`${what}: 503 within 2 s, one delivery or twenty, and recovers by itself`, async function () {
      this.timeout(30_000);
      ingress = await suite.start();
      const payload = workflowJob("queued");
      await begin();
      try {
        expectUnavailable(await deliver(ingress, payload));
        const burst = await Promise.all(Array.from({ length: 20 }, () => deliver(ingress, payload)));
        burst.forEach(expectUnavailable);
        expect(await ingress.logged("delivery.received")).to.include({
          level: "error",
          outcome: "unavailable",
        });
        // What needs no Redis is answered all the same.
        expect((await deliver(ingress, "{}", { event: "push" })).status).to.equal(200);
        expect((await deliver(ingress, payload, { secret: "wrong" })).status).to.equal(401);
      } finally {
        await end();
      }
      await expectOneJob(payload);
    });
  }

  it("down when the ingress starts: 503, and served once it is up", async function () {
    this.timeout(30_000);
    await suite.redis.kill();
    ingress = await suite.start({ waitForRedis: false });
    const payload = workflowJob("queued");
    expectUnavailable(await deliver(ingress, payload));
    await suite.redis.restart();
    await expectOneJob(payload);
  });

  it("a failover: 503 while it is bound to the old master, and finds the new one by itself", async function () {
    this.timeout(30_000);
    pair = await startFailoverPair();
    ingress = await suite.start({ redis: { ...suite.redis, url: pair.url } });
    await pair.failOver();
    const payload = workflowJob("queued");
    expectUnavailable(await deliver(ingress, payload));
    await expectOneJob(payload);
  });

  it("refuses the queue job alone: 503, and the next delivery of the job enqueues it", async () => {
    const refuse = { isOn: true };
    const fine = await suite.start();
    ingress = await suite.start({
      context: {
        producer: {
          ...fine.producer,
          composeEntry(...order) {
            const entry = fine.producer.composeEntry(...order);
            return refuse.isOn ? { ...entry, script: { name: "refusing", lua: "return -5" } } : entry;
          },
        },
      },
    });
    const payload = workflowJob("queued");
    expectUnavailable(await deliver(ingress, payload));
    expect(await ingress.ledger.getWorkflowJob(`wfj-${payload.workflow_job.id}`)).to.equal(null);
    refuse.isOn = false;
    await expectOneJob(payload);
  });
});
