import type { QueueEntry } from "@grp/core";
import { expect } from "chai";
import { Redis } from "ioredis";
import { restore, useFakeTimers } from "sinon";
import { startRedis, type TestRedis } from "../../../test/support/redis.ts";
import { createQueueProducer } from "./producer.ts";
import { aDemand, DONE, until, watchConsumer } from "./testing/fixtures.ts";
import type { QueueProducer } from "./types.ts";

describe("an entry for a provider's queue", () => {
  let redis: TestRedis;
  let client: Redis;
  let producer: QueueProducer;
  before(async () => {
    redis = await startRedis();
    client = new Redis(redis.url);
    producer = createQueueProducer({ redisUrl: redis.url, deadlineMs: 2_000, onError: () => undefined });
  });
  beforeEach(() => forget());
  afterEach(() => restore());
  after(async () => {
    await producer.close();
    client.disconnect();
    await redis.stop();
  });

  /** All but what BullMQ writes down of its queues once, as it starts. */
  async function forget(): Promise<void> {
    for (const key of await client.keys("*")) if (!key.endsWith(":meta")) await client.del(key);
  }

  const run = ({ script, keys, args }: QueueEntry) =>
    client.call("EVAL", script.lua, String(keys.length), ...keys, ...args);

  const readers: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
    hash: (key) => client.hgetall(key),
    list: async (key) => client.lrange(key, 0, -1),
    zset: async (key) => client.zrange(key, "0", "-1", "WITHSCORES"),
    stream: (key) => client.xlen(key),
    string: (key) => client.get(key),
  };
  async function readAll(): Promise<Record<string, unknown>> {
    const keys = (await client.keys("*")).sort();
    const values = await Promise.all(keys.map(async (key) => readers[await client.type(key)]?.(key)));
    return Object.fromEntries(keys.map((key, at) => [key, values[at]]));
  }

  for (const rank of [0, 7])
    for (const turn of ["first", "second"])
      it(`leaves in Redis what BullMQ itself leaves (rank ${rank}, the ${turn} of its shape)`, async () => {
        const clock = useFakeTimers({ now: 1_800_000_000_000, toFake: ["Date"] });
        if (turn === "second") producer.composeEntry(aDemand(1, { rank }), "ec2");
        // "ü" has two bytes, and so has the length of its text.
        const demand = aDemand(2, { rank, labels: ["ubuntu-arm64", "für"] });
        clock.tick(1_234);
        await producer.enqueueDemand(demand, "ec2");
        const expected = await readAll();
        await forget();
        await run(producer.composeEntry(demand, "ec2"));
        expect(await readAll()).to.deep.equal(expected);
      });

  it("is another one's in nothing", async () => {
    const demands = [
      aDemand(3),
      aDemand(4, { rank: 7 }),
      aDemand(10_000),
      aDemand(5, { generation: 2 }),
      aDemand(6, { labels: ["other"] }),
    ];
    const fresh = () =>
      createQueueProducer({ redisUrl: redis.url, deadlineMs: 2_000, onError: () => undefined });
    useFakeTimers({ now: 1_800_000_000_000, toFake: ["Date"] });
    for (const provider of ["ec2", "codemagic"] as const)
      for (const demand of demands) {
        const alone = fresh();
        expect(producer.composeEntry(demand, provider)).to.deep.equal(alone.composeEntry(demand, provider));
        await alone.close();
      }
  });

  it("adds nothing by being composed, and one job however often it is run", async () => {
    const entry = producer.composeEntry(aDemand(1), "ec2");
    expect(await producer.isUnderWay("ec2", "wfj-1")).to.equal(false);
    for (let times = 0; times < 3; times++) await run(entry);
    const waiting = (await producer.counts()).find(
      (row) => row.provider === "ec2" && row.state === "waiting",
    );
    expect(waiting?.count).to.equal(1);
  });

  it("wakes a worker that has nothing to do, and is worked on like any other", async () => {
    const seen: unknown[] = [];
    const { consumer } = watchConsumer(redis.url, async (demand) => {
      seen.push(demand);
      return DONE;
    });
    await consumer.ready();
    await run(producer.composeEntry(aDemand(3), "ec2"));
    await until(() => seen.length === 1);
    expect(seen).to.deep.equal([aDemand(3)]);
    await consumer.close(1_000);
  });

  it("says which keys all entries of one provider share", () => {
    const [first, second] = [aDemand(1), aDemand(2)].map((one) => producer.composeEntry(one, "codemagic"));
    expect(first?.keys).to.deep.equal(second?.keys);
    expect(first?.keys.every((key) => key.startsWith("{grp}:grp-codemagic:"))).to.equal(true);
    expect(first?.script).to.equal(second?.script);
  });
});
