import { once } from "node:events";
import { expect } from "chai";
import { startFailoverPair } from "../../../test/support/failover.ts";
import { startRedis, type TestRedis } from "../../../test/support/redis.ts";
import { closeRedis, createRedis, type Redis } from "./redis.ts";
import { findRisks } from "./redis-risks.ts";

describe("findRisks", () => {
  let server: TestRedis;
  let redis: Redis;
  before(async () => {
    server = await startRedis({ aof: true });
    redis = createRedis(server.url, { name: "test", onError: () => undefined });
    await once(redis, "ready");
  });
  after(async () => {
    await closeRedis(redis);
    await server.stop();
  });

  it("finds none where Redis is set up as the README asks", async () => {
    expect(await findRisks(redis)).to.deep.equal([]);
  });

  it("finds an eviction policy, once there is a limit", async () => {
    await redis.config("SET", "maxmemory-policy", "volatile-ttl");
    expect(await findRisks(redis)).to.deep.equal([]);
    await redis.config("SET", "maxmemory", "100mb");
    const risks = await findRisks(redis);
    expect(risks).to.have.length(1);
    expect(risks[0]).to.contain("(maxmemory-policy volatile-ttl)");
    await redis.config("SET", "maxmemory-policy", "noeviction");
    expect(await findRisks(redis)).to.deep.equal([]);
  });

  it("finds an append-only file that is off", async () => {
    await redis.config("SET", "appendonly", "no");
    expect((await findRisks(redis)).join()).to.match(/append-only file is off/);
    await redis.config("SET", "appendonly", "yes");
  });

  it("takes a replica for as good as that file", async () => {
    const pair = await startFailoverPair();
    const master = createRedis(pair.url, { name: "test", onError: () => undefined });
    await once(master, "ready");
    expect(await findRisks(master)).to.deep.equal([]);
    await closeRedis(master);
    await pair.stop();
  });

  it("finds a Cluster", async () => {
    const cluster = await startRedis({ aof: true, args: ["--cluster-enabled", "yes"] });
    const member = createRedis(cluster.url, { name: "test", onError: () => undefined });
    await once(member, "ready");
    expect((await findRisks(member)).join()).to.match(/^Redis is a Cluster/);
    await closeRedis(member);
    await cluster.stop();
  });

  const says = (info: string) => findRisks({ info: async () => info } as unknown as Redis);

  it("finds a version that is too old, and takes Valkey for what it is like", async () => {
    expect(await says("redis_version:6.0.16\r\n")).to.deep.equal([
      "Redis 6.0.16 is older than 6.2, the least that works",
    ]);
    for (const version of [
      "6.2.0",
      "7.0.15",
      "10.0.0",
      "7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.0",
    ])
      expect(await says(`redis_version:${version}\r\n`), version).to.deep.equal([]);
  });

  it("finds none where INFO is forbidden or says something else", async () => {
    await redis.acl("SETUSER", "default", "-info");
    expect(await findRisks(redis)).to.deep.equal([]);
    expect(await says("# nothing\r\nwe:tell\r\n")).to.deep.equal([]);
  });
});
