import { once } from "node:events";
import { expect } from "chai";
import { startBalancer } from "../../../test/support/balancer.ts";
import { type FailoverPair, startFailoverPair } from "../../../test/support/failover.ts";
import { startRedis } from "../../../test/support/redis.ts";
import { closeRedis, createRedis, isRedisReady, type Redis } from "./redis.ts";

describe("createRedis after a failover", () => {
  let pair: FailoverPair;
  let redis: Redis;
  let told: string[];
  beforeEach(async () => {
    pair = await startFailoverPair();
    told = [];
    redis = createRedis(pair.url, { name: "test", onError: ({ message }) => told.push(message) });
    await once(redis, "ready");
  });
  afterEach(async () => {
    await closeRedis(redis);
    await pair.stop();
  });

  const refusal = (call: Promise<unknown>) => call.then(String, ({ message }: Error) => message);

  it("finds the new master once a write is refused", async () => {
    await redis.set("kept", "yes");
    await pair.failOver();
    const isBack = once(redis, "ready");
    expect(await refusal(redis.set("key", "value"))).to.match(/^READONLY/);
    await isBack;
    await redis.set("key", "value");
    expect(await redis.mget("kept", "key")).to.deep.equal(["yes", "value"]);
  });

  it("does so too when a script is refused", async () => {
    await pair.failOver();
    const isBack = once(redis, "ready");
    expect(await refusal(redis.eval("return redis.call('SET', KEYS[1], '1')", 1, "key"))).to.match(
      /READONLY/,
    );
    await isBack;
    expect(await redis.eval("return redis.call('INCR', KEYS[1])", 1, "key")).to.equal(1);
  });

  it("is not ready while it is bound to a replica, and finds the new master without any write", async () => {
    expect(await isRedisReady(redis)).to.equal(true);
    await pair.failOver();
    const isBack = once(redis, "ready");
    expect(await isRedisReady(redis)).to.match(/^redis: .*replica/);
    await isBack;
    expect(await isRedisReady(redis)).to.equal(true);
  });

  it("tells of a replica once, and comes back to it once a second", async () => {
    pair.pointToReplica();
    redis.disconnect(true);
    await once(redis, "ready");
    const begun = performance.now();
    for (let times = 0; times < 3; times += 1) {
      const isBack = once(redis, "ready");
      await refusal(redis.set("key", "value"));
      await isBack;
    }
    expect(performance.now() - begun).to.be.above(2_900);
    expect(told).to.have.length(1);
    expect(told[0]).to.match(/^READONLY/);
  });
});

describe("createRedis whose peer vanishes", () => {
  it("is back within three time-outs, though the connection looks alive", async () => {
    const server = await startRedis();
    const balancer = await startBalancer();
    balancer.setTargets([server.url]);
    const told: string[] = [];
    const redis = createRedis(balancer.url.replace("http:", "redis:"), {
      name: "test",
      commandTimeoutMs: 200,
      onError: ({ message }) => told.push(message),
    });
    await once(redis, "ready");
    balancer.vanish();
    // Not `once`: that rejects at the first word of an error.
    const isBack = new Promise((resolve) => redis.once("ready", resolve));
    expect(await redis.set("key", "value").catch(({ message }: Error) => message)).to.match(/timed out/);
    await isBack;
    expect(await redis.set("key", "value")).to.equal("OK");
    expect(told).to.have.length(1);
    await closeRedis(redis);
    await balancer.close();
    await server.stop();
  });
});

describe("isRedisReady", () => {
  it("asks no more than a ping where INFO is forbidden", async () => {
    const server = await startRedis();
    const redis = createRedis(server.url, { name: "test", onError: () => undefined });
    try {
      await once(redis, "ready");
      await redis.acl("SETUSER", "default", "-info");
      expect(await isRedisReady(redis)).to.equal(true);
    } finally {
      await closeRedis(redis);
      await server.stop();
    }
  });
});
