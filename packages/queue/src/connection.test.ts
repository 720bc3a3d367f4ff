import { once } from "node:events";
import { expect } from "chai";
import { Redis } from "ioredis";
import { startBalancer } from "../../../test/support/balancer.ts";
import { type FailoverPair, startFailoverPair } from "../../../test/support/failover.ts";
import { startRedis, type TestRedis } from "../../../test/support/redis.ts";
import { connectRedis, writeInTurns } from "./connection.ts";
import { createQueueProducer } from "./producer.ts";
import { createScheduler } from "./scheduler.ts";
import { aDemand, aTermination, DONE, until, type Watched, watchConsumer } from "./testing/fixtures.ts";
import type { QueueProducer } from "./types.ts";

describe("writeInTurns", () => {
  let redis: TestRedis;
  let client: Redis;
  before(async () => {
    redis = await startRedis();
    client = new Redis(redis.url);
    writeInTurns(client);
    await once(client, "ready");
  });
  after(async () => {
    client.disconnect();
    await redis.stop();
  });

  it("sends what comes in one turn together, sixteen commands at most", async () => {
    const send = (count: number) => Array.from({ length: count }, () => client.incr("count"));
    const held = () => client.stream.writableLength > 0;
    const first = send(15);
    expect(held()).to.equal(true);
    const more = send(1);
    expect(held()).to.equal(false);
    const last = send(1);
    expect(held()).to.equal(true);
    const answers = await Promise.all([...first, ...more, ...last]);
    expect(answers).to.deep.equal(Array.from({ length: 17 }, (_none, at) => at + 1));
    expect(client.stream.writableCorked).to.equal(0);
  });

  it("goes on after the connection was lost with commands held", async () => {
    const lost = client.get("count");
    client.stream.destroy();
    expect(await lost).to.equal("17");
    expect(await client.incr("count")).to.equal(18);
  });
});

describe("with INFO forbidden", () => {
  let redis: TestRedis;
  let admin: Redis;
  let redisUrl: string;
  before(async () => {
    redis = await startRedis();
    admin = new Redis(redis.url);
    await admin.acl("SETUSER", "grp", "on", ">pw", "~{grp}*", "&*", "+@all", "-@dangerous", "-@admin");
    redisUrl = redis.url.replace("//", "//grp:pw@");
  });
  after(async () => {
    admin.disconnect();
    await redis.stop();
  });

  it("takes what is put in, and waits no whole seconds for what is put off", async () => {
    const waits: number[] = [];
    const monitor = await admin.monitor();
    monitor.on("monitor", (_time: string, [command, , seconds]: string[]) => {
      if (command?.toLowerCase() === "bzpopmin") waits.push(Number(seconds));
    });
    const producer = createQueueProducer({ redisUrl, deadlineMs: 1_000, onError: () => undefined });
    const taken: string[] = [];
    const take = (what: string) => {
      taken.push(what);
      return DONE;
    };
    const { consumer, errors } = watchConsumer(redisUrl, async () => DONE, {
      processors: {
        provision: async ({ key }) => take(key),
        terminate: async ({ runnerName }) => take(runnerName),
      },
    });
    await consumer.ready();
    await producer.enqueueTermination(aTermination("r-1"), { delayMs: 1_500 });
    await producer.enqueueDemand(aDemand(1), "ec2");
    await until(() => taken.length === 2);
    expect(taken).to.deep.equal(["wfj-1", "r-1"]);
    expect(waits.filter((seconds) => !Number.isInteger(seconds))).not.to.deep.equal([]);
    expect(errors).to.deep.equal([]);
    await Promise.all([consumer.close(500), producer.close()]);
    monitor.disconnect();
  });

  it("runs schedules", async () => {
    let runs = 0;
    const run = async () => {
      runs += 1;
    };
    const schedules = [{ name: "sweep", everyMs: 100, run }];
    const scheduler = createScheduler({ redisUrl, schedules, onError: () => undefined });
    await scheduler.ready();
    await until(() => runs > 0);
    await scheduler.close(500);
  });
});

describe("connectRedis whose peer vanishes", () => {
  it("gives the connection up after a while of silence, and asks again on a new one", async () => {
    const redis = await startRedis();
    const balancer = await startBalancer();
    balancer.setTargets([redis.url]);
    const url = balancer.url.replace("http:", "redis:");
    const told: string[] = [];
    const client = connectRedis(url, ({ message }) => told.push(message), { socketTimeout: 300 });
    await client.set("key", "value");
    balancer.vanish();
    expect(await client.get("key")).to.equal("value");
    expect(told.join()).to.match(/Socket timeout/);
    client.disconnect();
    await balancer.close();
    await redis.stop();
  });
});

describe("the queue's connections after a failover", () => {
  let pair: FailoverPair;
  let producer: QueueProducer;
  let watched: Watched;
  let finish: (() => void)[];
  let told: string[];
  beforeEach(async () => {
    pair = await startFailoverPair();
    [finish, told] = [[], []];
    const tell = ({ message }: Error) => void told.push(message);
    producer = createQueueProducer({ redisUrl: pair.url, deadlineMs: 1_000, onError: tell });
    watched = watchConsumer(pair.url, async () => {
      await new Promise<void>((resolve) => finish.push(resolve));
      return DONE;
    });
    await watched.consumer.ready();
  });
  afterEach(async () => {
    for (const end of finish) end();
    // One that is closed while it reconnects leaves a timer of BullMQ's for some seconds.
    await until(() => pair.hasIdleWorker());
    await watched.consumer.close(500);
    await producer.close();
    await pair.stop();
  });

  const completed = async () =>
    (await producer.counts()).find(({ provider, state }) => provider === "ec2" && state === "completed")
      ?.count;

  it("find the new master: what is in hand is finished there, and new work goes through", async () => {
    await producer.enqueueDemand(aDemand(1), "ec2");
    await until(() => finish.length === 1);
    await pair.failOver();
    finish[0]?.();
    const enqueue = () => producer.enqueueDemand(aDemand(2), "ec2");
    const isTaken = async () => (await Promise.allSettled([enqueue()]))[0].status === "fulfilled";
    expect(await isTaken()).to.equal(false);
    await until(isTaken);
    await until(() => finish.length === 2);
    finish[1]?.();
    await until(async () => (await completed()) === 2);
    expect(told.join()).to.match(/^READONLY/);
    expect(watched.errors.filter(({ message }) => !/READONLY|UNBLOCKED/.test(message))).to.deep.equal([]);
  });
});
