import { once } from "node:events";
import { createLedger, type Ledger } from "@grp/ledger";
import { closeRedis, createRedis, type Redis } from "@grp/runtime";
import { expect } from "chai";
import { type SinonFakeTimers, useFakeTimers } from "sinon";
import { startRedis, type TestRedis } from "../../../test/support/redis.ts";
import { watchRedis } from "./watch-redis.ts";

describe("watchRedis", () => {
  let server: TestRedis;
  let redis: Redis;
  let ledger: Ledger;
  let clock: SinonFakeTimers;
  let raised: string[];
  let watch: ReturnType<typeof watchRedis>;
  beforeEach(async () => {
    server = await startRedis({
      aof: true,
      args: ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"],
    });
    clock = useFakeTimers({ now: 1_800_000_000_000, toFake: ["setInterval", "clearInterval", "Date"] });
    redis = createRedis(server.url, { name: "test", onError: () => undefined });
    ledger = createLedger({ redis });
    raised = [];
    const log = { warn: (message: string) => void raised.push(message) };
    watch = watchRedis({ ledger, log, now: Date.now }, redis);
    await once(redis, "ready");
  });
  afterEach(async () => {
    watch.close();
    clock.restore();
    await closeRedis(redis);
    await server.stop();
  });

  const warnings = async () => (await ledger.listWarnings(Date.now())).filter(({ kind }) => kind === "redis");
  /** All that was sent before is answered by then, and what follows from the answers is sent. */
  const settle = async () => {
    for (let rounds = 0; rounds < 5; rounds += 1) await redis.ping();
  };

  it("warns at the start and for as long as it is so, and tells the log once", async () => {
    await settle();
    expect((await warnings()).map(({ text }) => text).join()).to.contain("maxmemory-policy allkeys-lru");
    for (let minutes = 0; minutes < 10; minutes += 1) {
      clock.tick(60_000);
      await settle();
      expect(await warnings()).to.have.length(1);
    }
    expect(raised).to.deep.equal(["warning.raised"]);
    await redis.config("SET", "maxmemory-policy", "noeviction");
    clock.tick(180_000);
    await settle();
    expect(await warnings()).to.deep.equal([]);
  });

  it("sees what was set after the start", async () => {
    await settle();
    await redis.config("SET", "appendonly", "no");
    clock.tick(60_000);
    await settle();
    expect((await warnings()).map(({ text }) => text).join()).to.contain("append-only file is off");
  });

  it("says nothing, and goes on, where INFO is forbidden", async () => {
    await settle();
    await redis.flushall();
    await redis.acl("SETUSER", "default", "-info");
    clock.tick(60_000);
    await settle();
    expect(await warnings()).to.deep.equal([]);
  });
});
