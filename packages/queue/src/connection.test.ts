import { once } from "node:events";
import { expect } from "chai";
import { Redis } from "ioredis";
import { startRedis, type TestRedis } from "../../../test/support/redis.ts";
import { writeInTurns } from "./connection.ts";

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
