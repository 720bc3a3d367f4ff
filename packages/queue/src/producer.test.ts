import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { demandJobId, TransientError } from "@grp/core";
import { Queue } from "bullmq";
import { expect } from "chai";
import { Redis } from "ioredis";
import { findFreePort, startRedis, type TestRedis } from "../../../test/support/redis.ts";
import { QUEUE_PREFIX, queueName } from "./names.ts";
import { createQueueProducer } from "./producer.ts";
import { aDemand, aTermination, DONE, until, watchConsumer } from "./testing/fixtures.ts";
import { type QueueProducer, QueueUnavailableError } from "./types.ts";

const deadlineMs = 400;

async function refusal(call: Promise<unknown>): Promise<{ error: unknown; tookMs: number }> {
  const begin = Date.now();
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { error, tookMs: Date.now() - begin };
}

async function expectRefused(call: Promise<unknown>): Promise<void> {
  const { error, tookMs } = await refusal(call);
  expect(error).to.be.instanceOf(QueueUnavailableError);
  expect(tookMs).to.be.below(deadlineMs + 300);
}

describe("createQueueProducer", () => {
  let redis: TestRedis;
  let producer: QueueProducer;
  const told: Error[] = [];
  before(async () => {
    redis = await startRedis({ aof: true });
  });
  after(() => redis.stop());
  beforeEach(async () => {
    const client = new Redis(redis.url);
    await client.flushall();
    client.disconnect();
    told.length = 0;
    producer = createQueueProducer({ redisUrl: redis.url, deadlineMs, onError: (error) => told.push(error) });
  });
  afterEach(() => producer.close());

  const count = async (state: string) =>
    (await producer.counts()).find((row) => row.provider === "ec2" && row.state === state)?.count;

  it("makes one of fifty same demands at once", async () => {
    await Promise.all(Array.from({ length: 50 }, () => producer.enqueueDemand(aDemand(1), "ec2")));
    expect(await count("waiting")).to.equal(1);
    await producer.enqueueDemand(aDemand(1, { generation: 2 }), "ec2");
    expect(await count("waiting")).to.equal(2);
  });

  it("tells the age of the oldest that waits, whatever its rank", async () => {
    const oldest = async () =>
      (await producer.counts()).find((row) => row.provider === "ec2" && row.state === "waiting");
    expect(await oldest()).not.to.have.property("oldestAgeMs");
    const add = async (id: number, rank: number, agoMs: number) => {
      const demand = aDemand(id, { rank });
      await producer.enqueueDemand(demand, "ec2");
      const client = new Redis(redis.url);
      const key = `${QUEUE_PREFIX}:${queueName("ec2")}:${demandJobId(demand.key, demand.generation)}`;
      expect(await client.hset(key, "timestamp", Date.now() - agoMs)).to.equal(0);
      client.disconnect();
      return (await oldest())?.oldestAgeMs;
    };
    const MINUTE = 60_000;
    expect(await add(1, 7, 2 * MINUTE)).to.be.within(2 * MINUTE, 3 * MINUTE - 1);
    expect(await add(2, 3, MINUTE)).to.be.within(2 * MINUTE, 3 * MINUTE - 1);
    expect(await add(3, 100, 4 * MINUTE)).to.be.within(4 * MINUTE, 5 * MINUTE - 1);
    expect(await add(4, 0, 3 * MINUTE)).to.be.within(4 * MINUTE, 5 * MINUTE - 1);
    expect(await add(5, 0, 0)).to.be.within(4 * MINUTE, 5 * MINUTE - 1);
    expect((await oldest())?.count).to.equal(5);
  });

  it("changes nothing when the demand is finished and asked for again, unless it was handed on", async () => {
    const seen: number[] = [];
    const { consumer } = watchConsumer(redis.url, async (demand) => {
      seen.push(demand.offeringIndex);
      return DONE;
    });
    await producer.enqueueDemand(aDemand(1), "ec2");
    await until(async () => (await count("completed")) === 1);
    await producer.enqueueDemand(aDemand(1), "ec2");
    await producer.enqueueDemand(aDemand(1, { offeringIndex: 2 }), "ec2");
    await until(() => seen.length === 2);
    await until(async () => (await count("completed")) === 1);
    await producer.enqueueDemand(aDemand(1, { offeringIndex: 2 }), "ec2");
    await producer.enqueueDemand(aDemand(2), "ec2");
    await until(async () => (await count("completed")) === 2);
    expect(seen).to.deep.equal([0, 2, 0]);
    await consumer.close(1_000);
  });

  it("runs a termination again that has finished before", async () => {
    let ended = 0;
    const terminate = async () => {
      ended++;
      return DONE;
    };
    const { consumer } = watchConsumer(redis.url, async () => DONE, {
      processors: { provision: async () => DONE, terminate },
    });
    for (const times of [1, 2]) {
      await producer.enqueueTermination(aTermination("grp-a-0"));
      await until(async () => (await count("completed")) === 1 && ended === times);
    }
    await consumer.close(1_000);
  });

  it("withdraws what waits, and nothing else", async () => {
    await producer.enqueueDemand(aDemand(1), "ec2");
    const queue = new Queue(queueName("ec2"), { connection: { url: redis.url }, prefix: QUEUE_PREFIX });
    await queue.add("provision", aDemand(2), { jobId: "wfj-2", delay: 60_000 });
    await queue.close();
    expect(await producer.isUnderWay("ec2", "wfj-1")).to.equal(true);
    expect(await producer.withdraw("ec2", "wfj-1")).to.equal(true);
    expect(await producer.isUnderWay("ec2", "wfj-1")).to.equal(false);
    expect(await producer.withdraw("ec2", "wfj-2")).to.equal(true);
    expect(await producer.withdraw("ec2", "wfj-2")).to.equal(false);
    expect(await count("waiting")).to.equal(0);
  });

  it("asks to come back for a demand that a worker has in hand, and runs it again after that", async () => {
    const held = Promise.withResolvers<typeof DONE>();
    const seen: number[] = [];
    const { consumer } = watchConsumer(redis.url, (demand) => {
      seen.push(demand.offeringIndex);
      return held.promise;
    });
    await producer.enqueueDemand(aDemand(1), "ec2");
    await until(() => producer.isInHand("ec2", "wfj-1"));
    const later = aDemand(1, { offeringIndex: 1 });
    for (const call of [producer.retry(later, "ec2"), producer.enqueueDemand(later, "ec2")]) {
      const { error } = await refusal(call);
      expect(error).to.be.instanceOf(TransientError).and.include({ code: "under_way" });
    }
    held.resolve(DONE);
    await until(async () => !(await producer.isInHand("ec2", "wfj-1")));
    await producer.retry(later, "ec2");
    await until(async () => (await count("completed")) === 1 && seen.length === 2);
    expect(seen).to.deep.equal([0, 1]);
    await consumer.close(1_000);
  });

  it("refuses within the deadline while Redis is frozen, and recovers by itself", async () => {
    await producer.enqueueDemand(aDemand(1), "ec2");
    redis.pause();
    for (const id of [2, 3, 4, 5, 6]) await expectRefused(producer.enqueueDemand(aDemand(id), "ec2"));
    expect(await producer.isReady()).to.equal(false);
    redis.resume();
    await until(() => producer.isReady());
    await producer.enqueueDemand(aDemand(2), "ec2");
  });

  it("refuses while Redis is down, tells it once, and recovers by itself", async () => {
    await producer.enqueueDemand(aDemand(1), "ec2");
    await redis.kill();
    await expectRefused(producer.enqueueDemand(aDemand(2), "ec2"));
    await expectRefused(producer.counts());
    // The first try to reconnect has to fail.
    await until(async () => told.length > 0);
    await redis.restart();
    await until(() => producer.isReady());
    await producer.enqueueDemand(aDemand(2), "ec2");
    expect(await count("waiting")).to.equal(2);
    expect(told.length).to.be.within(1, 2);
  });

  it("closes at once while Redis is frozen with calls outstanding", async () => {
    await producer.isReady();
    redis.pause();
    const pending = refusal(producer.enqueueDemand(aDemand(1), "ec2"));
    const { tookMs } = await refusal(producer.close());
    expect(tookMs).to.be.below(1_000);
    expect((await pending).error).to.be.instanceOf(QueueUnavailableError);
    redis.resume();
  });
});

describe("createQueueProducer whose connection breaks at BullMQ's first command", () => {
  it("recovers by itself", async () => {
    const redis = await startRedis();
    const proxy = await startProxy(redis.port);
    const producer = createQueueProducer({ redisUrl: proxy.url, deadlineMs, onError: () => undefined });
    await until(() => proxy.broken > 0);
    proxy.repair();
    for (const provider of ["ec2", "codemagic"] as const) {
      const take = () => producer.enqueueDemand(aDemand(1), provider);
      await until(() =>
        take().then(
          () => true,
          () => false,
        ),
      );
    }
    await producer.close();
    await proxy.close();
    await redis.stop();
  });
});

/** Lets the client's own look at Redis (INFO) pass, and breaks the connection at BullMQ's. */
async function startProxy(port: number) {
  let [broken, isRepaired] = [0, false];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    const end = () => void [client, upstream].map((socket) => socket.destroy());
    let hasLooked = false;
    for (const socket of [client, upstream]) sockets.add(socket.on("error", end).on("close", end));
    upstream.pipe(client);
    client.on("data", (data) => {
      if (!hasLooked || isRepaired) {
        hasLooked ||= /\binfo\b/i.test(data.toString());
        return void upstream.write(data);
      }
      broken += 1;
      end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get broken() {
      return broken;
    },
    repair() {
      isRepaired = true;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

describe("createQueueProducer without a Redis", () => {
  it("refuses within the deadline and closes", async () => {
    const port = await findFreePort();
    const options = { redisUrl: `redis://127.0.0.1:${port}`, deadlineMs, onError: () => undefined };
    const producer = createQueueProducer(options);
    await expectRefused(producer.enqueueDemand(aDemand(1), "ec2"));
    await producer.close();
  });

  it("refuses when Redis is full, and takes work when there is room again", async () => {
    const redis = await startRedis();
    const producer = createQueueProducer({ redisUrl: redis.url, deadlineMs, onError: () => undefined });
    const client = new Redis(redis.url);
    await client.config("SET", "maxmemory", "1");
    await expectRefused(producer.enqueueDemand(aDemand(1), "ec2"));
    await client.config("SET", "maxmemory", "0");
    await producer.enqueueDemand(aDemand(1), "ec2");
    client.disconnect();
    await producer.close();
    await redis.stop();
  });
});
