import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect } from "chai";
import { Redis } from "ioredis";
import { type FailoverPair, startFailoverPair } from "../../../test/support/failover.ts";
import { startRedis, type TestRedis } from "../../../test/support/redis.ts";
import { checkRedis } from "./check-redis.ts";
import { ConfigError } from "./environment.ts";
import { closeRedis, createRedis, isRedisReady } from "./redis.ts";

describe("checkRedis", () => {
  let server: TestRedis;
  before(async () => {
    server = await startRedis({ args: ["--requirepass", "rightpass"] });
  });
  after(() => server.stop());

  let printed: string[];
  beforeEach(() => {
    printed = [];
  });
  const check = (url: string) => checkRedis(url, { name: "test", print: (text) => printed.push(text) });
  const refusal = (url: string) =>
    check(url).then(
      () => "",
      (error: unknown) => (error instanceof ConfigError ? error.message : String(error)),
    );
  const at = (login: string, path = "") => `redis://${login}127.0.0.1:${server.port}${path}`;

  it("is content with one that can be used, and warns of what may be lost there", async () => {
    await check(at(":rightpass@", "/3"));
    expect(printed).to.have.length(1);
    expect(printed[0]).to.match(/^warning: .*append-only file is off/);
  });

  const faults: Readonly<Record<string, readonly [url: () => string, why: RegExp]>> = {
    "a wrong password": [() => at(":wrongpass@"), /WRONGPASS/],
    "a user that is not there": [() => at("nobody:rightpass@"), /WRONGPASS/],
    "a password that is missing": [() => at(""), /NOAUTH/],
    "a database that is not there": [() => at(":rightpass@", "/99"), /DB index is out of range/],
    "TLS to one that speaks none": [() => at(":rightpass@").replace("redis:", "rediss:"), /ETIMEDOUT/],
    "a host that is not there": [
      () => "redis://:rightpass@nowhere.invalid:6379",
      /ENOTFOUND nowhere\.invalid/,
    ],
    "a port where nobody listens": [() => "redis://:rightpass@127.0.0.1:9", /ECONNREFUSED 127\.0\.0\.1:9/],
  };
  for (const [what, [url, why]] of Object.entries(faults))
    it(`says why: ${what}`, async () => {
      const text = await refusal(url());
      expect(text)
        .to.match(/REDIS_URL +can't be used: /)
        .and.to.match(why);
      expect(text).not.to.match(/rightpass|wrongpass/);
    });

  const strangers: Readonly<Record<string, readonly [words: string, why: RegExp]>> = {
    "one that is no Redis": ["HTTP/1.1 400 Bad Request\r\n\r\n", /can't be used: Unknown RESP type/],
    "one that closes without a word": ["", /can't be used: no connection to it/],
  };
  for (const [what, [words, why]] of Object.entries(strangers))
    it(`says why: ${what}`, async () => {
      const stranger = createServer((socket) => void socket.end(words).resume()).listen(0, "127.0.0.1");
      await once(stranger, "listening");
      const { port } = stranger.address() as AddressInfo;
      expect(await refusal(`redis://127.0.0.1:${port}`)).to.match(why);
      stranger.close();
    });

  it("says why: a replica", async () => {
    const pair: FailoverPair = await startFailoverPair();
    pair.pointToReplica();
    expect(await refusal(pair.url)).to.match(/can't be used: a replica/);
    await pair.stop();
  });

  it("says why: a Sentinel", async () => {
    const sentinel = await startRedis({ isSentinel: true });
    expect(await refusal(sentinel.url)).to.match(/can't be used: a Sentinel/);
    await sentinel.stop();
  });

  it("says why: one that loads its data, and so does readiness", async () => {
    // Answers between keys, of which each takes a millisecond.
    const args = ["--loading-process-events-interval-bytes", "1024", "--key-load-delay", "1000"];
    const loading = await startRedis({ args });
    const redis = createRedis(loading.url, { name: "test", onError: () => undefined });
    await once(redis, "ready");
    await redis.eval("for i = 1, 8000 do redis.call('SET', '{grp}' .. i, i) end", 0);
    await redis.save();
    const isBack = loading.restart();
    while (!String(await isRedisReady(redis)).includes("LOADING"))
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await refusal(loading.url)).to.match(/can't be used: LOADING/);
    const isReady = once(redis, "ready");
    const admin = new Redis(loading.url, { enableReadyCheck: false });
    await admin.config("SET", "key-load-delay", "0");
    await Promise.all([isBack, isReady]);
    admin.disconnect();
    await closeRedis(redis);
    await loading.stop();
  });

  it("readiness gives the same reasons, for as long as they last", async () => {
    const redis = createRedis(at(":wrongpass@"), { name: "test", onError: () => undefined });
    // Unlike `once` of node:events, not ended by the errors on the way.
    const heard = (event: string) => new Promise((resolve) => redis.once(event, resolve));
    await heard("close");
    expect(await isRedisReady(redis)).to.match(/^redis: WRONGPASS/);
    const admin = createRedis(at(":rightpass@"), { name: "test", onError: () => undefined });
    await once(admin, "ready");
    const isReady = heard("ready");
    await admin.acl("SETUSER", "default", ">wrongpass");
    await isReady;
    expect(await isRedisReady(redis)).to.equal(true);
    await Promise.all([closeRedis(redis), closeRedis(admin)]);
  });
});
