import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { closeRedis, createRedis, type Redis } from "../../packages/runtime/src/index.ts";
import { startLocalRedis } from "../../scripts/local-redis.ts";

describe("startLocalRedis", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "grp-test-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** As the apps do. */
  async function connect(url: string): Promise<Redis> {
    const redis = createRedis(url, { name: "grp-worker", onError: () => undefined });
    await once(redis, "ready");
    return redis;
  }

  it("keeps its data over a stop and a start", async () => {
    const first = await startLocalRedis(folder);
    const writer = await connect(first.url);
    await writer.set("kept", "yes");
    await closeRedis(writer);
    await first.stop();
    const second = await startLocalRedis(folder);
    const reader = await connect(second.url);
    expect(await reader.get("kept")).to.equal("yes");
    await closeRedis(reader);
    await second.stop();
  });

  it("uses one that a run left over, and ends it only when no other run uses it", async () => {
    const first = await startLocalRedis(folder);
    const worker = await connect(first.url);
    await worker.ping();
    const second = await startLocalRedis(folder);
    expect(second.url).to.equal(first.url);
    await second.stop();
    expect(await worker.ping()).to.equal("PONG");
    await closeRedis(worker);
    const third = await startLocalRedis(folder);
    await third.stop();
    await first.ended;
  });
});
