import { expect } from "chai";
import { startRedis, type TestRedis } from "../../../test/support/redis.ts";
import { type InternalServer, startInternalServer } from "./internal-server.ts";
import { createMetrics } from "./metrics.ts";
import { closeRedis, createRedis, isRedisReady, type Redis } from "./redis.ts";

const host = "127.0.0.1";

async function get(server: InternalServer, path: string) {
  const begun = performance.now();
  const response = await fetch(`http://${host}:${server.port}${path}`, { headers: { connection: "close" } });
  return { status: response.status, text: await response.text(), ms: performance.now() - begun };
}

describe("startInternalServer", () => {
  let server: InternalServer | undefined;
  afterEach(() => server?.close());

  const start = (options: Partial<Parameters<typeof startInternalServer>[0]> = {}) =>
    startInternalServer({
      port: 0,
      host,
      isReady: async () => true,
      metrics: createMetrics({ app: "test" }),
      ...options,
    });

  it("shows its metrics with the gauges just collected", async () => {
    const metrics = createMetrics({ app: "test" });
    metrics.deliveries.inc({ event: "workflow_job", outcome: "enqueued", reason: "" });
    server = await start({ metrics, collect: async () => metrics.deadLetters.set(3) });
    const { text } = await get(server, "/metrics");
    expect(text).to.contain(
      'grp_deliveries_total{event="workflow_job",outcome="enqueued",reason="",app="test"} 1',
    );
    expect(text).to.contain('grp_dead_letters{app="test"} 3');
    expect(text).to.contain("process_cpu_seconds_total");
  });

  it("still shows metrics when the gauges can't be read", async () => {
    server = await start({ collect: () => Promise.reject(new Error("redis is away")) });
    const { status, text } = await get(server, "/metrics");
    expect(status).to.equal(200);
    expect(text).to.contain('grp_collect_errors_total{app="test"} 1');
  });

  it("is alive but not ready, within about a second, when the check never ends", async () => {
    server = await start({ isReady: () => new Promise(() => {}) });
    expect((await get(server, "/healthz")).status).to.equal(200);
    const { status, text, ms } = await get(server, "/readyz");
    expect(status).to.equal(503);
    expect(text).to.contain("no answer within 1000 ms");
    expect(ms).to.be.below(1_600);
  });

  it("rejects when its port is taken", async () => {
    server = await start();
    const error = await start({ port: server.port }).then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error?.message).to.match(/^INTERNAL_PORT \d+ is taken by another process/);
  });
});

describe("readiness over a real Redis", () => {
  let server: TestRedis;
  let redis: Redis;
  let internal: InternalServer;

  before(async () => {
    server = await startRedis();
    redis = createRedis(server.url, { name: "test", onError: () => {} });
    internal = await startInternalServer({
      port: 0,
      host,
      isReady: () => isRedisReady(redis),
      metrics: createMetrics({ app: "test" }),
    });
    await untilReady(internal);
  });
  after(async () => {
    await internal.close();
    await closeRedis(redis);
    await server.stop();
  });

  it("answers 503 with the reason within a second when Redis is frozen, and recovers", async () => {
    server.pause();
    const frozen = await get(internal, "/readyz");
    expect(frozen.status).to.equal(503);
    expect(frozen.text).to.contain("redis:");
    expect(frozen.ms).to.be.below(1_400);
    server.resume();
    await untilReady(internal);
  });

  it("answers 503 at once when Redis is gone, and recovers when it is back", async () => {
    await server.kill();
    const gone = await get(internal, "/readyz");
    expect(gone.status).to.equal(503);
    expect(gone.ms).to.be.below(1_000);
    await server.restart();
    await untilReady(internal);
  });
});

async function untilReady(server: InternalServer): Promise<void> {
  // Each refusal is an answer from the server; the test's own time limit ends the wait.
  while ((await get(server, "/readyz")).status !== 200)
    await new Promise((resolve) => setTimeout(resolve, 25));
}
