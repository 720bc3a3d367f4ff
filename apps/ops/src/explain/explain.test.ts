import { parseCatalog } from "@grp/core";
import { expect } from "chai";
import {
  demand,
  instance,
  launchOne,
  order,
  startLedger,
  T0,
  type TestLedger,
} from "../../../../packages/ledger/src/fixtures.ts";
import { readWorkflowJob } from "../view.ts";
import { formatExplanation } from "./format-explanation.ts";
import type { Holds } from "./story.ts";

const SECOND = 1_000;

const verdict = parseCatalog(
  `{ version: 1, allow: { owners: acme }, classes: [{ name: ubuntu-arm64, labels: [ubuntu-arm64], maxRunners: 1,
  platform: { os: macos, arch: arm64 }, maxRuntime: 60m, offerings: [{ provider: codemagic, app: a1 }] }],
  codemagicTeams: { default: {} } }`,
  { env: {}, useCodemagic: true },
);
if (!verdict.ok) throw new Error("the catalog of this test is bad");
const { catalog } = verdict;

describe("the explanation of a workflow job", () => {
  let test: TestLedger;
  before(async () => {
    test = await startLedger();
  });
  beforeEach(() => test.redis.flushall());
  after(() => test.stop());

  const tell = async (id: number, afterS = 60, holds: Holds = {}) => {
    const known = await readWorkflowJob(test.ledger, `wfj-${id}`, {
      now: T0 + afterS * SECOND,
      catalog,
      holds,
    });
    if (!known) throw new Error(`${id} is not known`);
    return known.explanation;
  };

  it("knows nothing of what it never heard of", async () => {
    for (const key of ["wfj-1", "dry-1", "hello", "wfj-9999999999999999"])
      expect(await readWorkflowJob(test.ledger, key, { now: T0, holds: {} }), key).to.equal(null);
  });

  it("says why no class served it, and what to do", async () => {
    const ignored = { workflowJobId: 1, owner: "Acme", repository: "app", labels: ["windows"], at: T0 };
    await test.ledger.recordIgnored({ ...ignored, reason: "labels" });
    const told = await tell(1);
    expect(told).to.include({ runnerClass: null, match: "no class has all of these labels" });
    expect(told.next).to.contain("runners.yaml");
    expect(formatExplanation(told)).to.match(
      /^workflow job 1 of Acme\/app, 1 m ago\nasked {3}labels \[windows\]/,
    );
  });

  it("tells what it waits for: its queue, a cap, capacity, a budget", async () => {
    const wanted = demand(1);
    await test.ledger.recordQueued(wanted);
    expect((await tell(1)).whereNow).to.equal("not yet in a queue");
    await test.ledger.markEnqueued(wanted.key, T0 + 2 * SECOND);
    expect((await tell(1)).whereNow).to.equal("in its queue; nothing was launched for it yet");
    await test.ledger.setWaitsFor(wanted.key, "cap class:ubuntu-arm64 (3 ahead)");
    const held = await tell(1, 62);
    expect(held).to.include({
      whereNow: "no machine yet, 1 m after it was enqueued",
      waitsFor: "a place under cap class:ubuntu-arm64 (3 ahead)",
    });
    expect(held.next).to.contain("as soon as a place is free");
    await test.ledger.setWaitsFor(wanted.key, "capacity");
    expect((await tell(1)).next).to.contain("all offerings are tried again");
    await test.ledger.setWaitsFor(wanted.key, "host");
    expect((await tell(1)).waitsFor).to.contain("a dedicated host");
    await test.ledger.setWaitsFor(wanted.key, "throttle");
    expect((await tell(1)).waitsFor).to.equal("the provider's rate limit");
    await test.ledger.setWaitsFor(wanted.key, "budget ec2");
    expect((await tell(1)).waitsFor).to.equal("the budget of calls to ec2");
    await test.ledger.setWaitsFor(wanted.key, "answer ec2");
    expect((await tell(1)).waitsFor).to.equal(
      "an answer of ec2 to an earlier launch, which is long in coming",
    );
  });

  it("forgets a throttle as soon as the launch that it held up is answered", async () => {
    await test.ledger.recordQueued(demand(1, { generation: 2 }));
    const opened = order([demand(1, { generation: 2 })]);
    await test.ledger.openLaunch(opened);
    await test.ledger.setWaitsFor("wfj-1", "throttle");
    expect((await tell(1)).waitsFor).to.equal("the provider's rate limit");
    await test.ledger.recordLaunched(opened.launchId, [instance(opened.launchId, "i-1")], T0 + 9 * SECOND);
    expect((await tell(1)).waitsFor).to.equal("boot");
  });

  it("tells that a sibling's machine covers it, unless one of its own is on its way", async () => {
    await test.ledger.recordQueued(demand(1));
    await test.ledger.markEnqueued("wfj-1", T0 + 2 * SECOND);
    await test.ledger.setWaitsFor("wfj-1", "covered");
    expect(await tell(1)).to.deep.include({
      whereNow:
        "covered by a sibling's machine: as many are on their way, or idle, as workflow jobs like it wait",
      waitsFor: "the next free runner of its class",
    });
    await launchOne(test.ledger, 2, "i-2");
    await test.ledger.setWaitsFor("wfj-2", "covered");
    expect((await tell(2)).waitsFor).to.equal("boot");
  });

  it("tells that a throttle holds its whole queue, until its machine is on its way", async () => {
    const held = { codemagic: 4_000 };
    await test.ledger.recordQueued(demand(1));
    expect((await tell(1, 60, held)).waitsFor).to.equal("the sweep");
    await test.ledger.markEnqueued("wfj-1", T0 + 2 * SECOND);
    expect((await tell(1, 60, held)).waitsFor).to.equal("the provider's rate limit, for 4 s more");
    expect((await tell(1, 60, { ec2: 4_000 })).waitsFor).to.contain("a worker");
    const { launchId } = order([demand(1)]);
    await test.ledger.openLaunch(order([demand(1)], { provider: "codemagic" }));
    expect((await tell(1, 60, held)).whereNow).to.contain("told us to slow down");
    await test.ledger.recordLaunched(launchId, [instance(launchId, "b-1")], T0 + 9 * SECOND);
    expect((await tell(1, 60, held)).waitsFor).to.equal("boot");
  });

  it("follows its machine from the provider's answer to online", async () => {
    const { launchId, runnerNames } = await launchOne(test.ledger, 1, "i-1");
    const [name = ""] = runnerNames;
    expect(await tell(1, 34)).to.include({
      whereNow: "a machine boots: i-1 (for 30 s, limit 10 m)",
      waitsFor: "boot",
    });
    await test.ledger.recordStep(name, "booted", T0 + 40 * SECOND);
    expect((await tell(1)).waitsFor).to.equal("its claim");
    await test.ledger.beginClaim({ launchId, instanceId: "i-1", at: T0 + 45 * SECOND, lockMs: 15_000 });
    await test.ledger.finishClaim({ runnerName: name, claimNumber: 1, runnerId: 9, at: T0 + 46 * SECOND });
    expect((await tell(1)).waitsFor).to.equal("the runner to come online");
    await test.ledger.recordStep(name, "online", T0 + 50 * SECOND);
    expect(await tell(1)).to.include({ waitsFor: "GitHub to give it this job" });
  });

  it("tells a machine in line at GitHub's rate limit, and one that is taken back in its boot", async () => {
    const { launchId, runnerNames } = await launchOne(test.ledger, 1, "i-1");
    const [runnerName = ""] = runnerNames;
    await test.ledger.recordStep(runnerName, "booted", T0 + 40 * SECOND);
    await test.ledger.beginClaim({ launchId, instanceId: "i-1", at: T0 + 45 * SECOND, lockMs: 15_000 });
    await test.ledger.abandonClaim({ runnerName, claimNumber: 1 }, T0 + 345 * SECOND);
    expect((await tell(1)).waitsFor).to.equal("GitHub's rate limit, its turn in about 4 m 45 s");
    expect((await tell(1, 346)).waitsFor).to.equal("its claim");
    const note = { at: T0 + 50 * SECOND, kind: "interrupted", text: "notice" };
    await test.ledger.addRunnerNote(runnerName, note);
    expect(await tell(1)).to.include({
      whereNow: "its machine i-1 is taken back by its provider",
      waitsFor: "another machine",
    });
  });

  it("tells why a machine's claim was not granted, until it is, and after the machine's end", async () => {
    const [runnerName = ""] = (await launchOne(test.ledger, 1, "i-1")).runnerNames;
    await test.ledger.recordStep(runnerName, "booted", T0 + 40 * SECOND);
    await test.ledger.abandonClaim({ runnerName, claimNumber: 0 }, T0 + 90 * SECOND);
    const note = (kind: string, text: string, atS: number) =>
      test.ledger.addRunnerNote(runnerName, { at: T0 + atS * SECOND, kind, text });
    await note("claim-unanswered", "GitHub answered 502", 45);
    expect(await tell(1)).to.include({
      whereNow: "a machine is up: i-1; its claim could not be answered: GitHub answered 502",
      waitsFor: "an answer to its claim",
    });
    await note("claim-in-line", "others go first", 50);
    expect((await tell(1)).waitsFor).to.equal("GitHub's rate limit, its turn in about 30 s");
    await note("claim-refused", "GitHub answered 403", 55);
    const refused = await tell(1);
    expect(refused).to.include({
      whereNow: "a machine is up: i-1; its claim was refused: GitHub answered 403",
      waitsFor: "its registration, which is refused",
    });
    expect(refused.steps.at(-1)?.what).to.equal("i-1: claim-refused: GitHub answered 403");
    const over = { at: T0 + 58 * SECOND, kind: "boot-timeout", text: "its machine did not claim in time" };
    await test.ledger.recordStep(runnerName, "finished", T0 + 58 * SECOND, over);
    expect((await tell(1)).whereNow).to.equal(
      "its machine i-1 did not claim in time, and was ended; its claim was refused: GitHub answered 403",
    );
  });

  it("forgets that a claim was refused once one was granted", async () => {
    const [runnerName = ""] = (await launchOne(test.ledger, 1, "i-1")).runnerNames;
    await test.ledger.addRunnerNote(runnerName, { at: T0 + 45 * SECOND, kind: "claim-refused", text: "403" });
    await test.ledger.finishClaim({ runnerName, claimNumber: 0, runnerId: 9, at: T0 + 46 * SECOND });
    expect((await tell(1)).waitsFor).to.equal("the runner to come online");
  });

  it("says that a sibling took its runner, though a try failed before that runner's launch", async () => {
    await test.ledger.recordQueued(demand(1));
    const text = "try 1: EC2 RunInstances: no answer; again in 2 s";
    await test.ledger.addNote("wfj-1", { at: T0 + SECOND, kind: "retry", text });
    const [runnerName = ""] = (await launchOne(test.ledger, 1, "i-1")).runnerNames;
    await test.ledger.recordQueued(demand(2));
    await test.ledger.recordInProgress({ workflowJobId: 2, at: T0 + 30 * SECOND, runnerName, runnerId: 9 });
    const taken = { waitsFor: "a sibling's runner, or another machine" };
    expect(await tell(1, 600)).to.include(taken);
    await test.ledger.recordStep(runnerName, "gone", T0 + 700 * SECOND);
    expect(await tell(1, 3_600)).to.include(taken);
    // A later try that fails is news again.
    await test.ledger.addNote("wfj-1", { at: T0 + 800 * SECOND, kind: "retry", text });
    expect((await tell(1, 3_600)).waitsFor).to.equal("the next try");
  });

  it("says that a sibling took its runner", async () => {
    const { runnerNames } = await launchOne(test.ledger, 1, "i-1");
    await test.ledger.recordQueued(demand(2));
    await test.ledger.recordInProgress({
      workflowJobId: 2,
      at: T0 + 70 * SECOND,
      runnerName: runnerNames[0] ?? "",
      runnerId: 9,
    });
    const told = await tell(1, 80);
    expect(told.whereNow).to.equal(`the runner launched for it, ${runnerNames[0]}, took wfj-2`);
    expect(told.next).to.contain("the sweep launches another");
    expect(told.steps.at(-1)?.what).to.equal("i-1: runner took a sibling, wfj-2");
    expect((await tell(2, 80)).whereNow).to.equal(`runs on ${runnerNames[0]}, for 10 s`);
  });

  it("says that no machine more is started for one that GitHub does not show", async () => {
    const { runnerNames } = await launchOne(test.ledger, 1, "i-1");
    await test.ledger.recordStep(runnerNames[0] ?? "", "gone", T0 + 10 * SECOND);
    const note = { at: T0 + 50 * SECOND, kind: "not-shown", text: "GitHub does not show this workflow job" };
    await test.ledger.addNote("wfj-1", note);
    expect(await tell(1)).to.include({ whereNow: note.text, waitsFor: "GitHub to show it again" });
  });

  it("tells a lost machine, a dead letter and a cancelled job apart", async () => {
    const { runnerNames } = await launchOne(test.ledger, 1, "i-1");
    const note = { at: T0 + 9 * SECOND, kind: "interrupted", text: "spot notice" };
    await test.ledger.recordStep(runnerNames[0] ?? "", "gone", T0 + 10 * SECOND, note);
    expect((await tell(1)).whereNow).to.equal("its machine i-1 was taken back by its provider");
    expect((await tell(1)).steps.map(({ what }) => what)).to.include("i-1: interrupted: spot notice");
    const failure = { at: T0 + 20 * SECOND, errorClass: "no-capacity", code: "Full", message: "no room" };
    await test.ledger.recordFailure("wfj-1", failure);
    expect(await tell(1)).to.include({ whereNow: "a dead letter: no room", waitsFor: "a person" });
    await test.ledger.recordQueued(demand(2));
    await test.ledger.recordCompleted({ workflowJobId: 2, at: T0 + 5 * SECOND, conclusion: "cancelled" });
    expect((await tell(2)).whereNow).to.equal("ended before it started (cancelled)");
    expect(await tell(2)).to.not.have.property("waitsFor");
  });

  it("says that a running job will fall with its machine, and how long a healthy one may run", async () => {
    const { runnerNames } = await launchOne(test.ledger, 1, "i-1");
    const [runnerName = ""] = runnerNames;
    await test.ledger.recordInProgress({ workflowJobId: 1, at: T0 + 30 * SECOND, runnerName });
    expect((await tell(1)).next).to.equal("its machine ends with it, or after 1 h at the latest");
    await test.ledger.addRunnerNote(runnerName, {
      at: T0 + 40 * SECOND,
      kind: "interrupted",
      text: "notice",
    });
    expect((await tell(1)).whereNow).to.contain("whose machine its provider takes back");
    expect((await tell(1)).next).to.contain("it fails with its machine");
  });

  it("waits for the news when GitHub calls its runner busy before any delivery does", async () => {
    const { runnerNames } = await launchOne(test.ledger, 1, "i-1");
    await test.ledger.recordStep(runnerNames[0] ?? "", "busy", T0 + 30 * SECOND);
    expect((await tell(1)).waitsFor).to.equal("GitHub's delivery about it");
  });

  it("tells a launch that failed, with its reason", async () => {
    await test.ledger.recordQueued(demand(1));
    const opened = order([demand(1)]);
    await test.ledger.openLaunch(opened);
    const note = { at: T0 + 5 * SECOND, kind: "no-capacity", text: "no t4g.large in us-east-1a" };
    await test.ledger.recordLaunchFailed(opened.launchId, note);
    const told = await tell(1);
    expect(told.whereNow).to.equal("its launch failed: no t4g.large in us-east-1a");
    expect(told.steps.map(({ what }) => what).join("\n")).not.to.contain("machine gone");
  });

  it("tells the last try that failed, until a machine is on its way", async () => {
    await test.ledger.recordQueued(demand(1));
    const opened = order([demand(1)]);
    await test.ledger.openLaunch(opened);
    const text = "try 1: EC2 RunInstances: no answer; again in 2 s";
    await test.ledger.addNote("wfj-1", { at: T0 + 5 * SECOND, kind: "retry", text });
    expect(await tell(1)).to.include({
      whereNow: `its launch failed for now: ${text}`,
      waitsFor: "the next try",
    });
    await test.ledger.recordLaunched(opened.launchId, [instance(opened.launchId, "i-1")], T0 + 9 * SECOND);
    expect((await tell(1)).waitsFor).to.equal("boot");
  });

  it("tells one that a planning worker ended", async () => {
    await test.ledger.recordQueued(demand(1));
    await test.ledger.recordPlan("wfj-1", { key: "wfj-1" });
    expect((await tell(1)).whereNow).to.contain("planned");
  });

  it("tells one that ran elsewhere", async () => {
    await test.ledger.recordQueued(demand(1));
    await test.ledger.recordInProgress({ workflowJobId: 1, at: T0 + SECOND, runnerName: "theirs" });
    expect((await tell(1)).whereNow).to.contain("theirs, which is not ours");
  });

  it("fits on one screen however much happened, with every time", async () => {
    const { runnerNames } = await launchOne(test.ledger, 1, "i-1");
    for (let count = 0; count < 30; count++) {
      const text = `RequestLimitExceeded ${"x".repeat(300)}`;
      await test.ledger.addNote("wfj-1", { at: T0 + (5 + count) * SECOND, kind: "no-capacity", text });
      await test.ledger.addRunnerNote(runnerNames[0] ?? "", {
        at: T0 + count * SECOND,
        kind: "seen",
        text: "",
      });
    }
    const second = order([demand(1, { generation: 2 })], {
      launchId: "l-2",
      runnerNames: ["grp-2-0"],
    });
    await test.ledger.openLaunch(second);
    await test.ledger.recordLaunched("l-2", [instance("l-2", "i-2")], T0 + 50 * SECOND);
    const lines = formatExplanation(await tell(1)).split("\n");
    expect(lines.length).to.be.at.most(24);
    expect(Math.max(...lines.map((line) => line.length))).to.be.at.most(110);
    expect(lines[4]).to.equal("  11-24 12:00:00  +0 s      queued at GitHub");
    expect(lines).to.include.members(["steps"]);
    expect(lines.filter((line) => line.includes("more …"))).to.have.length(1);
  });
});
