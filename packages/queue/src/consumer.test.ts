import { spawn } from "node:child_process";
import { once } from "node:events";
import { type Demand, InvalidSpecError, RateLimitedError, TransientError } from "@grp/core";
import { Queue } from "bullmq";
import { expect } from "chai";
import { Redis } from "ioredis";
import { startFailoverPair } from "../../../test/support/failover.ts";
import { startRedis, type TestRedis } from "../../../test/support/redis.ts";
import { createQueueProducer } from "./producer.ts";
import { aDemand, aTermination, DONE, until, type Watched, watchConsumer } from "./testing/fixtures.ts";
import type { QueueProducer, WorkContext } from "./types.ts";

describe("createQueueConsumer", () => {
  let redis: TestRedis;
  let client: Redis;
  let queue: Queue;
  let producer: QueueProducer;
  const open: Watched[] = [];
  before(async () => {
    redis = await startRedis({ aof: true });
    client = new Redis(redis.url, { maxRetriesPerRequest: null });
    client.on("error", () => undefined);
    queue = new Queue("grp-ec2", { connection: client, prefix: "{grp}" });
    queue.on("error", () => undefined);
    producer = createQueueProducer({ redisUrl: redis.url, deadlineMs: 1_000, onError: () => undefined });
  });
  after(async () => {
    await producer.close();
    await queue.close();
    client.disconnect();
    await redis.stop();
  });
  beforeEach(async () => {
    await client.flushall();
  });
  afterEach(async () => {
    for (const watched of open.splice(0)) await watched.consumer.close(500);
  });
  const watch: typeof watchConsumer = (...options) => {
    const watched = watchConsumer(...options);
    open.push(watched);
    return watched;
  };

  it("hands out the demand as it went in, and keeps the result", async () => {
    const seen: unknown[] = [];
    watch(redis.url, async (demand) => {
      seen.push(demand);
      return DONE;
    });
    await producer.enqueueDemand(aDemand(1), "ec2");
    await until(async () => (await queue.getJobState("wfj-1")) === "completed");
    expect(seen).to.deep.equal([aDemand(1)]);
    expect((await queue.getJob("wfj-1"))?.returnvalue).to.deep.equal({ ok: true });
  });

  it("keeps finished and failed jobs for seven days", async () => {
    watch(redis.url, async ({ workflowJobId }) => {
      if (workflowJobId % 2 === 0) throw new InvalidSpecError("no such AMI");
      return DONE;
    });
    const end = async (id: number, state: "completed" | "failed") => {
      await producer.enqueueDemand(aDemand(id), "ec2");
      await until(async () => (await queue.getJobState(`wfj-${id}`)) === state);
    };
    for (const [id, state] of [
      [1, "completed"],
      [2, "failed"],
    ] as const) {
      await end(id, state);
      await end(id + 2, state);
      const ended = async (daysAgo: number, jobId: string) =>
        client.zadd(queue.toKey(state), Date.now() - daysAgo * 24 * 3_600_000, jobId);
      await ended(7.1, `wfj-${id}`);
      await ended(6.9, `wfj-${id + 2}`);
      await end(id + 4, state);
      expect(await client.zrange(queue.toKey(state), 0, "-1")).to.deep.equal([
        `wfj-${id + 2}`,
        `wfj-${id + 4}`,
      ]);
      expect(await queue.getJob(`wfj-${id}`)).to.equal(undefined);
    }
  });

  it("takes those of the first rank first, whenever they came, and wakes and withdraws the others too", async () => {
    for (const [id, rank] of [
      [1, 5],
      [2, 2],
      [3, 0],
      [4, 2],
    ] as const)
      await producer.enqueueDemand(aDemand(id, rank > 0 ? { rank } : {}), "ec2");
    expect((await producer.counts()).find(({ state }) => state === "waiting")?.count).to.equal(4);
    expect(await producer.withdraw("ec2", "wfj-4")).to.equal(true);
    const seen: string[] = [];
    const work = async (demand: Demand) => {
      seen.push(demand.key);
      return DONE;
    };
    watch(redis.url, work, { concurrency: 1 });
    await until(async () => (await queue.getCompletedCount()) === 3);
    expect(seen).to.deep.equal(["wfj-3", "wfj-2", "wfj-1"]);
  });

  it("buries at once what it can't read, and a stranger's kind of work", async () => {
    const { dead } = watch(redis.url, async () => DONE);
    await queue.add("provision", { version: 99 }, { jobId: "wfj-1", attempts: 5 });
    await queue.add("mystery", {}, { jobId: "wfj-2" });
    await until(() => dead.length === 2);
    await until(async () => (await queue.getFailedCount()) === 2);
    expect(dead.map((work) => work.jobId)).to.have.members(["wfj-1", "wfj-2"]);
    expect(dead[0]?.error.message).to.contain("can't be read: version");
    expect(dead[0]).not.to.have.property("demand");
  });

  it("never retries a bad configuration, and tells it once", async () => {
    let runs = 0;
    const { dead } = watch(redis.url, async () => {
      runs++;
      throw new InvalidSpecError("no such AMI", { code: "InvalidAMIID.NotFound" });
    });
    await producer.enqueueDemand(aDemand(1), "ec2");
    await until(async () => (await queue.getJobState("wfj-1")) === "failed");
    expect([runs, dead.length, dead[0]?.demand?.key]).to.deep.equal([1, 1, "wfj-1"]);
    expect((await queue.getJob("wfj-1"))?.failedReason).to.equal(
      "InvalidSpecError: no such AMI (InvalidAMIID.NotFound)",
    );
  });

  it("gives up after the last attempt, and runs again from the first when retried", async () => {
    const contexts: Pick<WorkContext, "attempt" | "isLastAttempt">[] = [];
    const { dead } = watch(
      redis.url,
      async (_demand, { attempt, isLastAttempt }) => {
        contexts.push({ attempt, isLastAttempt });
        if (contexts.length <= 3) throw new TransientError("503");
        return DONE;
      },
      { policy: { transientBaseMs: 5, provisionAttempts: 3 } },
    );
    await producer.enqueueDemand(aDemand(1), "ec2");
    await until(async () => (await queue.getJobState("wfj-1")) === "failed");
    expect([dead.length, dead[0]?.attempts]).to.deep.equal([1, 3]);
    await producer.retry(aDemand(1), "ec2");
    await until(async () => (await queue.getJobState("wfj-1")) === "completed");
    expect(contexts.map((context) => context.attempt)).to.deep.equal([1, 2, 3, 1]);
    expect(contexts.map((context) => context.isLastAttempt)).to.deep.equal([false, false, true, false]);
  });

  it("does not lose a death that could not be told at first", async () => {
    let tries = 0;
    watch(
      redis.url,
      async () => {
        throw new InvalidSpecError("x");
      },
      {
        onDead: async () => {
          if (++tries === 1) throw new Error("ledger away");
        },
      },
    );
    await producer.enqueueDemand(aDemand(1), "ec2");
    await until(async () => (await queue.getJobState("wfj-1")) === "failed");
    expect(tries).to.equal(2);
  });

  it("waits without using an attempt, and starts the moment it is woken", async () => {
    const attempts: number[] = [];
    watch(redis.url, async (_demand, context) => {
      attempts.push(context.attempt);
      return attempts.length < 3 ? { kind: "wait", delayMs: 60_000, why: "cap" } : DONE;
    });
    await producer.enqueueDemand(aDemand(1), "ec2");
    for (let woken = 1; woken < 3; woken++) {
      await until(async () => attempts.length === woken && (await queue.getJobState("wfj-1")) === "delayed");
      await producer.wake("ec2", "wfj-1");
    }
    await until(async () => (await queue.getJobState("wfj-1")) === "completed");
    expect(attempts).to.deep.equal([1, 1, 1]);
  });

  it("does not lose a wake that comes before the job is laid aside", async () => {
    let runs = 0;
    watch(redis.url, async (_demand, context) => {
      if (++runs > 1) return DONE;
      await producer.wake("ec2", context.jobId);
      return { kind: "wait", delayMs: 60_000, why: "cap" };
    });
    await producer.enqueueDemand(aDemand(1), "ec2");
    await until(async () => (await queue.getJobState("wfj-1")) === "completed");
    await producer.wake("ec2", "wfj-404");
  });

  it("holds the whole queue on a rate limit, and uses no attempt", async () => {
    const starts: { key: string; at: number; attempt: number }[] = [];
    watch(
      redis.url,
      async (demand, { attempt }) => {
        starts.push({ key: demand.key, at: Date.now(), attempt });
        if (starts.length === 1) throw new RateLimitedError("slow down", { retryAfterMs: 1_200 });
        return DONE;
      },
      { concurrency: 1 },
    );
    await producer.enqueueDemand(aDemand(1), "ec2");
    await until(() => starts.length === 1);
    const heldMs = async () =>
      (await producer.counts()).find((row) => row.provider === "ec2" && row.state === "waiting")?.heldMs;
    await until(async () => (await heldMs()) !== undefined);
    expect(await heldMs()).to.be.within(1, 1_200);
    await producer.enqueueDemand(aDemand(2), "ec2");
    await until(async () => (await queue.getCompletedCount()) === 2);
    expect(await heldMs()).to.equal(undefined);
    expect(starts.map((start) => start.attempt)).to.deep.equal([1, 1, 1]);
    const pause = (starts[1]?.at ?? 0) - (starts[0]?.at ?? 0);
    expect(pause).to.be.within(1_100, 3_000);
  });

  it("holds the queue for other workers too, and sets a limit for no longer than that", async () => {
    const starts: number[] = [];
    const process = async () => {
      starts.push(Date.now());
      if (starts.length === 1) throw new RateLimitedError("slow down", { retryAfterMs: 1_200 });
      return DONE;
    };
    for (const _one of [1, 2]) watch(redis.url, process, { concurrency: 1 });
    await producer.enqueueDemand(aDemand(1), "ec2");
    const limit = () => client.hget("{grp}:grp-ec2:meta", "max");
    await until(async () => (await limit()) !== null);
    for (const id of [2, 3]) await producer.enqueueDemand(aDemand(id), "ec2");
    await until(async () => (await queue.getCompletedCount()) === 3);
    expect((starts[1] ?? 0) - (starts[0] ?? 0)).to.be.within(1_100, 3_000);
    await until(async () => (await limit()) === null);
  });

  it("serves terminations beside demands", async () => {
    const ended: string[] = [];
    const terminate = async (termination: { runnerName: string }) => {
      ended.push(termination.runnerName);
      return DONE;
    };
    watch(redis.url, async () => DONE, { processors: { provision: async () => DONE, terminate } });
    await producer.enqueueTermination(aTermination("grp-a-0"));
    await until(async () => (await queue.getJobState("end-grp-a-0")) === "completed");
    expect(ended).to.deep.equal(["grp-a-0"]);
  });

  it("ends machines before it launches those that wait", async () => {
    const begun: string[] = [];
    const note = async (what: { key: string } | { runnerName: string }) => {
      begun.push("key" in what ? what.key : what.runnerName);
      return DONE;
    };
    for (const id of [1, 2]) await producer.enqueueDemand(aDemand(id), "ec2");
    await producer.enqueueTermination(aTermination("grp-a-0"));
    watch(redis.url, note, { concurrency: 1, processors: { provision: note, terminate: note } });
    await until(() => begun.length === 3);
    expect(begun).to.deep.equal(["grp-a-0", "wfj-1", "wfj-2"]);
  });

  it("lets running work finish when it is closed, and takes nothing new", async () => {
    const { consumer } = watch(
      redis.url,
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 300));
        return DONE;
      },
      { concurrency: 1 },
    );
    await consumer.ready();
    await producer.enqueueDemand(aDemand(1), "ec2");
    await producer.enqueueDemand(aDemand(2), "ec2");
    await until(async () => (await queue.getActiveCount()) === 1);
    await consumer.close(5_000);
    expect(consumer.isRunning()).to.equal(false);
    expect(await queue.getJobState("wfj-1")).to.equal("completed");
    expect(await queue.getJobState("wfj-2")).to.equal("waiting");
  });

  it("gives the attempt back when it is stopped", async () => {
    const { consumer } = watch(redis.url, (_demand, { signal }) => {
      return new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(new TransientError("aborted", { code: "aborted" })));
      });
    });
    await producer.enqueueDemand(aDemand(1), "ec2");
    await until(async () => (await queue.getActiveCount()) === 1);
    await consumer.close(50);
    const queueJob = await queue.getJob("wfj-1");
    expect(await queueJob?.getState()).to.equal("waiting");
    expect([queueJob?.attemptsMade, queueJob?.stalledCounter]).to.deep.equal([0, 0]);
  });

  it("closes within its deadline when the work won't stop and Redis is frozen", async () => {
    const { consumer } = watch(redis.url, () => new Promise(() => undefined));
    await producer.enqueueDemand(aDemand(1), "ec2");
    await until(async () => (await queue.getActiveCount()) === 1);
    redis.pause();
    const begin = Date.now();
    await consumer.close(100);
    redis.resume();
    expect(Date.now() - begin).to.be.below(9_000);
  }).timeout(15_000);

  it("asks once a second while Redis refuses, tells it once, and goes on by itself", async () => {
    const refusals = async () =>
      Number(/errorstat_WRONGTYPE:count=(\d+)/.exec(await client.info("errorstats"))?.[1] ?? 0);
    await client.config("RESETSTAT");
    await client.set(queue.toKey("wait"), "no list");
    const begun = performance.now();
    const { errors } = watch(redis.url, async () => DONE);
    await until(async () => (await refusals()) > 3);
    expect(performance.now() - begun).to.be.above(2_000);
    expect(errors.map(({ message }) => message.slice(0, 9))).to.deep.equal(["WRONGTYPE"]);
    await client.del(queue.toKey("wait"));
    await producer.enqueueDemand(aDemand(1), "ec2");
    await until(async () => (await queue.getJobState("wfj-1")) === "completed");
  });

  it("waits on a replica that refuses every write, tells it once, and begins when it is the master", async () => {
    const pair = await startFailoverPair();
    pair.pointToReplica();
    const { consumer, errors } = watchConsumer(pair.url, async () => DONE);
    const late = createQueueProducer({ redisUrl: pair.url, deadlineMs: 1_000, onError: () => undefined });
    try {
      await until(() => errors.length > 0);
      const begun = performance.now();
      // Each second those few that wait are refused once more.
      await until(async () => (await pair.refusals()) > 12);
      expect(performance.now() - begun).to.be.above(1_500);
      expect(errors.map(({ message }) => message.slice(0, 8))).to.deep.equal(["READONLY"]);
      await pair.failOver();
      await until(
        async () =>
          (await Promise.allSettled([late.enqueueDemand(aDemand(1), "ec2")]))[0].status === "fulfilled",
      );
      await until(async () =>
        (await late.counts()).some(({ state, count }) => state === "completed" && count === 1),
      );
      // One that is closed while it reconnects leaves a timer of BullMQ's for some seconds.
      await until(() => pair.hasIdleWorker());
    } finally {
      await consumer.close(500);
      await late.close();
      await pair.stop();
    }
  });

  it("goes on by itself after Redis was killed and came back", async () => {
    const { dead } = watch(redis.url, async () => DONE);
    await producer.enqueueDemand(aDemand(1), "ec2");
    await until(async () => (await queue.getJobState("wfj-1")) === "completed");
    await redis.kill();
    await redis.restart();
    await until(() => producer.isReady());
    await producer.enqueueDemand(aDemand(2), "ec2");
    await until(async () => (await queue.getJobState("wfj-2")) === "completed");
    expect(dead).to.deep.equal([]);
  });

  it("takes up the work of a worker that was killed, within 20 s, as the same attempt", async () => {
    await producer.enqueueDemand(aDemand(1), "ec2");
    const file = new URL("./testing/doomed-worker.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [file, redis.url], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "exit");
    const killedAt = Date.now();
    let attempt = 0;
    watch(redis.url, async (_demand, context) => {
      attempt = context.attempt;
      return DONE;
    });
    await until(async () => (await queue.getJobState("wfj-1")) === "completed", 20_000);
    expect(attempt).to.equal(1);
    expect(Date.now() - killedAt).to.be.below(20_000);
  }).timeout(30_000);

  it("buries a job over which workers died too often", async () => {
    const { dead } = watch(redis.url, async () => DONE, { policy: { stalls: 0 } });
    await queue.add("provision", aDemand(1), { jobId: "wfj-1", delay: 300 });
    await client.hset("{grp}:grp-ec2:wfj-1", "stc", 1);
    await until(() => dead.length === 1);
    expect(dead[0]?.error.message).to.equal("workers died over it 1 times");
    expect(dead[0]?.demand?.key).to.equal("wfj-1");
  });
});
