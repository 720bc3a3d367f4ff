import { expect } from "chai";
import { startRedis, type TestRedis } from "../../../test/support/redis.ts";
import { createScheduler } from "./scheduler.ts";
import { until } from "./testing/fixtures.ts";
import type { Scheduler, SchedulerOptions } from "./types.ts";

describe("createScheduler", () => {
  let redis: TestRedis;
  const open: Scheduler[] = [];
  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((scheduler) => scheduler.close(200)));
    await redis.stop();
  });
  const start = async (options: Partial<SchedulerOptions>) => {
    const scheduler = createScheduler({
      redisUrl: redis.url,
      schedules: [],
      onError: () => undefined,
      ...options,
    });
    open.push(scheduler);
    await scheduler.ready();
    return scheduler;
  };

  it("makes one run at a time across all workers, also when a run is slow", async () => {
    let now = 0;
    let most = 0;
    let runs = 0;
    const run = async () => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, 250));
      now--;
      runs++;
    };
    const schedules = [{ name: "sweep", everyMs: 100, run }];
    await Promise.all([start({ schedules }), start({ schedules }), start({ schedules })]);
    await until(() => runs >= 4);
    expect(most).to.equal(1);
  });

  it("goes on after a run that threw, and tells it with the schedule's name", async () => {
    const told: string[] = [];
    let runs = 0;
    const run = async () => {
      runs++;
      throw new Error("github away");
    };
    const onError = (error: Error, schedule?: string) => told.push(`${schedule}: ${error.message}`);
    await start({ schedules: [{ name: "sweep", everyMs: 50, run }], onError });
    await until(() => runs >= 3);
    expect(told[0]).to.equal("sweep: github away");
  });

  it("goes on with another worker when the one that ran it is gone", async () => {
    let runs = 0;
    const run = async () => void runs++;
    const schedules = [{ name: "sweep", everyMs: 100, run }];
    const first = await start({ schedules: [{ name: "sweep", everyMs: 100, run: async () => undefined }] });
    await start({ schedules });
    await first.close(100);
    const before = runs;
    await until(() => runs > before + 1);
  });

  it("is not held up by another schedule, and aborts a run at its close", async () => {
    let sweeps = 0;
    let reason = "";
    const recover = (signal: AbortSignal) =>
      new Promise<void>((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          reason = String(signal.reason);
          reject(new Error("aborted"));
        });
      });
    const scheduler = await start({
      schedules: [
        { name: "recover", everyMs: 100, run: recover },
        { name: "sweep", everyMs: 100, run: async () => void sweeps++ },
      ],
    });
    await until(() => sweeps >= 3);
    await scheduler.close(50);
    expect(reason).to.contain("stopping");
    expect(scheduler.isRunning()).to.equal(false);
  });
});
