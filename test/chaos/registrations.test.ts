import { expect } from "chai";
import type { StandInRunner, StandInWorkflowJob } from "../../packages/sandbox/src/index.ts";
import { type ClaimingMachine, judgeRegistrations, type Records } from "./registrations.ts";

const SCOPE = { kind: "repository", owner: "acme", repository: "app" } as const;
const T0 = 1_000_000;
let lastId = 0;

/** A registration of launch `l-<launch>`, minted after so many ms. */
const register = (launch: string, afterMs: number, more: Partial<StandInRunner> = {}): StandInRunner => ({
  ...{ id: ++lastId, name: `grp-${launch}-0`, scope: SCOPE, labels: ["linux", "self-hosted"], groupId: 1 },
  ...{ mintedAt: T0 + afterMs, status: "offline", busy: false },
  ...more,
});

const queue = (id: number, more: Partial<StandInWorkflowJob> = {}): StandInWorkflowJob => ({
  ...{ id, runId: id, runAttempt: 1, owner: "acme", repository: "app", isPrivate: true, name: "build" },
  ...{ workflowName: "CI", labels: ["linux"], durationMs: 1, ending: "success", queuedAt: T0 },
  ...{ status: "completed", conclusion: "success", startedAt: T0 + 5_000 },
  ...more,
});

const cancelled = (id: number) => {
  const { startedAt: _startedAt, ...job } = queue(id, { conclusion: "cancelled", completedAt: T0 + 3_000 });
  return job;
};

/** It asked for `claim` and was handed `launch`'s registration, if any. */
const machine = (launch: string, more: Partial<ClaimingMachine> = {}): ClaimingMachine => ({
  id: `i-${launch}`,
  launchId: `l-${launch}`,
  endedAt: T0 + 9_000,
  claims: [{ from: T0 + 900, until: T0 + 1_100, status: 200, runnerName: `grp-${launch}-0` }],
  ...more,
});

const judge = (records: Partial<Records>) =>
  judgeRegistrations({ registrations: [], jobs: [], deliveries: [], machines: [], faults: [], ...records });

const served = register("a", 1_000, { workflowJobId: 1 });

describe("the verdict on registrations", () => {
  it("has nothing to say of one registration for each demand", () => {
    const verdict = judge({ jobs: [queue(1)], registrations: [served], machines: [machine("a")] });
    expect(verdict).to.deep.equal({ excused: {}, violations: [] });
  });

  it("counts a second machine's registration that never came online, whatever became of it", () => {
    const second = register("b", 2_000, { gone: "deleted", goneAt: T0 + 9_000 });
    const { violations } = judge({
      jobs: [queue(1)],
      registrations: [served, second],
      machines: [machine("a"), machine("b")],
    });
    expect(violations).to.deep.equal([
      "grp-b-0 (linux app) is one too many: nothing befell its machine",
      "grp-b-0 (linux app) was registered when 1 waited and 2 runners were idle",
    ]);
  });

  it("excuses a claim that is repeated only when the first registration was deleted before, and nobody had it", () => {
    const lost = (goneAt: number) => register("a", 1_000, { gone: "deleted", goneAt: T0 + goneAt });
    const again = register("a", 3_000, { workflowJobId: 1 });
    const claims = [
      { from: T0 + 900, until: T0 + 1_500, status: 0 },
      { from: T0 + 2_900, until: T0 + 3_100, status: 200, runnerName: "grp-a-0" },
    ];
    const records = { jobs: [queue(1)], machines: [machine("a", { claims })] };
    expect(judge({ ...records, registrations: [lost(2_950), again] })).to.deep.equal({
      excused: { "claim repeated": 1 },
      violations: [],
    });
    expect(judge({ ...records, registrations: [lost(3_050), again] }).violations).to.have.length(1);
    const twice = claims.map((claim) => ({ ...claim, status: 200, runnerName: "grp-a-0" }));
    const held = { ...records, machines: [machine("a", { claims: twice })] };
    expect(judge({ ...held, registrations: [lost(2_950), again] }).violations).to.deep.equal([
      "grp-a-0 was handed over 2 times",
    ]);
    const used = { ...lost(2_950), gone: "job-done" as const, workflowJobId: 1 };
    expect(judge({ ...records, registrations: [used, again] }).violations).to.include(
      "grp-a-0 was registered again after its workflow job",
    );
  });

  it("excuses a replaced machine only when the first one broke, ended, and did so before", () => {
    const first = register("a", 1_000);
    const second = register("b", 4_000, { workflowJobId: 1 });
    const broken = { fault: "dies-after-claim" as const, brokeAt: T0 + 2_000 };
    const of = (one: Partial<ClaimingMachine>) =>
      judge({
        jobs: [queue(1)],
        registrations: [first, second],
        machines: [machine("a", one), machine("b")],
      });
    expect(of(broken)).to.deep.equal({ excused: { "dies-after-claim": 1 }, violations: [] });
    const { endedAt: _endedAt, ...alive } = machine("a", broken);
    const left = judge({
      jobs: [queue(1)],
      registrations: [first, second],
      machines: [alive, machine("b")],
    });
    expect(left.violations).to.have.length(2);
    expect(of({ ...broken, brokeAt: T0 + 4_500 }).violations).to.deep.equal([
      "grp-b-0 (linux app) was registered when 1 waited and 2 runners were idle",
    ]);
    // Its fate was to hang in mid-job, and it never had one.
    expect(of({ fault: "hangs" }).violations).to.have.length(2);
  });

  it("excuses a registration that nobody was handed only by a claim that no answer came to", () => {
    const lost = register("b", 2_000);
    const of = (claims: ClaimingMachine["claims"]) =>
      judge({
        jobs: [queue(1), queue(2)],
        registrations: [served, lost],
        machines: [machine("a"), machine("b", { claims: claims ?? [] })],
      });
    expect(of([{ from: T0 + 1_900, until: T0 + 2_100, status: 0 }])).to.deep.equal({
      excused: { "never handed over": 1 },
      violations: [],
    });
    expect(of([]).violations).to.have.length(1);
    expect(of([{ from: T0 + 5_000, until: T0 + 5_100, status: 410 }]).violations).to.have.length(1);
  });

  it("excuses one registration for each withdrawn job, and only if grp could not know when the machine asked", () => {
    const told = (afterMs: number) => ({
      payload: { workflow_job: { id: 2 } },
      ...{ action: "completed", statusCode: 202, answeredAt: T0 + afterMs },
    });
    const idle = (launch: string) => register(launch, 1_000);
    const of = (deliveries: Records["deliveries"], launches = ["b"]) =>
      judge({
        deliveries,
        jobs: [cancelled(2)],
        registrations: launches.map(idle),
        machines: launches.map((launch) => machine(launch)),
      });
    expect(of([told(3_000)])).to.deep.equal({ excused: { "workflow job withdrawn": 1 }, violations: [] });
    expect(of([]).violations).to.deep.equal([]);
    expect(of([{ ...told(0), statusCode: 502 }]).violations).to.deep.equal([]);
    expect(of([told(0)]).violations).to.have.length(2);
    expect(of([told(3_000)], ["b", "c"]).violations.join()).to.contain("grp-c-0 (linux app) is one too many");
  });

  it("lets nobody have what was none of his", () => {
    const claims = [{ from: T0, until: T0 + 1, status: 200, isRude: true }];
    expect(judge({ machines: [machine("a", { claims })] }).violations).to.deep.equal([
      "machine i-a was handed a registration that was none of its own",
    ]);
    const refused = claims.map((claim) => ({ ...claim, status: 401 }));
    expect(judge({ machines: [machine("a", { claims: refused })] }).violations).to.deep.equal([]);
  });
});
