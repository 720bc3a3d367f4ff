import { expect } from "chai";
import { createRandom, demand, instance, order, startLedger, T0, type TestLedger } from "./fixtures.ts";
import type { Ledger, RunnerStep } from "./types.ts";

const STEPS: readonly RunnerStep[] = ["booted", "online", "busy", "finished", "gone"];

/** One random event about one of a few jobs and runners: likely or absurd, early, late or repeated. */
async function happen(ledger: Ledger, random: (below: number) => number, runners: string[]): Promise<void> {
  const job = random(12);
  const wanted = demand(job);
  const at = T0 + random(100_000);
  const runnerName = runners[random(runners.length + 1)];
  const opened = order([wanted, demand(job + 1)], {
    at,
    renewal: random(3),
    launchId: `l-${job}-${random(3)}`,
  });
  const names = opened.runnerNames.map((_name, index) => `grp-${opened.launchId}-${index}`);
  const { launchId } = opened;
  const machines = [instance(launchId, `i-${launchId}-0`), instance(launchId, `i-${launchId}-1`)];
  const update = { workflowJobId: job, at, demand: wanted, ...(runnerName ? { runnerName } : {}) };
  const claim = { launchId, instanceId: `i-${launchId}-${random(3)}`, at, lockMs: 15_000 };
  const begun = { runnerName: runnerName ?? "nobody", claimNumber: random(3) };
  const events: (() => Promise<unknown>)[] = [
    () => ledger.recordQueued(wanted),
    () => ledger.recordInProgress(update),
    () => ledger.recordCompleted(update),
    () => ledger.recordFailure(wanted.key, { at, errorClass: "bug", message: "no", demand: wanted }),
    () => ledger.reviveDead(wanted.key),
    () => ledger.dismissDead(wanted.key, at),
    () => ledger.openLaunch({ ...opened, runnerNames: names }).then(() => runners.push(...names)),
    () => ledger.recordLaunched(launchId, machines.slice(random(2)), at),
    () => ledger.recordLaunchFailed(launchId, { at, kind: "failed", text: "" }),
    () => ledger.recordStep(runnerName ?? "nobody", STEPS[random(STEPS.length)] ?? "gone", at),
    () => ledger.beginClaim(claim),
    () => ledger.finishClaim({ ...begun, runnerId: random(99), at }),
    () => ledger.abandonClaim(begun),
  ];
  await events[random(events.length)]?.();
}

/** Counts must be what the records say, whatever happened in whatever order. */
async function expectNoDrift({ ledger, redis }: TestLedger): Promise<void> {
  const pool = "ubuntu-arm64|repo:acme/app";
  const members = (set: string) => redis.zrange(`{grp}:${set}`, 0, "-1");
  const jobs = await ledger.listWorkflowJobs(100);
  const waiting = jobs.filter((job) => job.demandState === "waiting" && job.workflowJobState === "queued");
  expect(await members(`demand:${pool}`)).to.have.members(waiting.map((job) => job.key));
  const failed = jobs.filter((job) => job.demandState === "failed");
  expect(await members("dead")).to.have.members(failed.map((job) => job.key));
  const names = (await redis.keys("{grp}:runner:*")).map((key) => key.slice("{grp}:runner:".length));
  const runners = (await Promise.all(names.map((name) => ledger.getRunner(name)))).filter(
    (runner) => !!runner,
  );
  const isSupply = (step: RunnerStep) => !["busy", "finished", "gone"].includes(step);
  const supply = runners.filter((runner) => isSupply(runner.step)).map((runner) => runner.runnerName);
  expect(await members(`supply:${pool}`)).to.have.members(supply);
  const live = runners.filter((runner) => runner.step !== "gone").map((runner) => runner.runnerName);
  expect(await members("live")).to.have.members(live);
  for (const name of await members(`claimed:${pool}`)) expect(supply).to.include(name);
  const isEmpty = waiting.length === 0 && supply.length === 0;
  expect(await ledger.countByClass()).to.have.length(isEmpty ? 0 : 1);
}

describe("what always holds in the ledger", function () {
  this.timeout(30_000);
  let test: TestLedger;
  before(async () => {
    test = await startLedger();
  });
  beforeEach(() => test.redis.flushall());
  after(() => test.stop());

  it("counts what the records say after Redis was killed in mid-burst", async () => {
    const fragile = await startLedger({ aof: true });
    try {
      const random = createRandom(5);
      const runners: string[] = [];
      for (let round = 0; round < 5; round++) {
        const burst = Array.from({ length: 60 }, () => happen(fragile.ledger, random, runners));
        const settled = Promise.allSettled(burst);
        await burst[0]?.catch(() => {});
        await fragile.server.kill("SIGKILL");
        await fragile.server.restart();
        await settled;
        await expectNoDrift(fragile);
      }
    } finally {
      await fragile.stop();
    }
  });

  for (const seed of [1, 2, 3, 4]) {
    it(`counts what the records say after any history (seed ${seed})`, async () => {
      const random = createRandom(seed);
      const runners: string[] = [];
      for (let round = 0; round < 40; round++) {
        for (let event = 0; event < 15; event++) await happen(test.ledger, random, runners);
        await expectNoDrift(test);
      }
    });
  }
});
