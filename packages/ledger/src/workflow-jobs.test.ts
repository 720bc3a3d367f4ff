import type { ProviderName, QueueEntry } from "@grp/core";
import { expect } from "chai";
import {
  demand,
  instance,
  launchOne,
  order,
  permutations,
  startLedger,
  T0,
  type TestLedger,
} from "./fixtures.ts";
import type { Ledger } from "./types.ts";

type Event = (ledger: Ledger) => Promise<unknown>;

const job = 77;
const key = `wfj-${job}`;
const queued: Event = (ledger) => ledger.recordQueued(demand(job));
const late = { demand: demand(job, { receivedAt: T0 + 9_000, deliveryId: "another" }), workflowJobId: job };
const inProgress: Event = (ledger) =>
  ledger.recordInProgress({ ...late, at: T0 + 30_000, runnerName: "someone-1", runnerId: 5 });
const completed: Event = (ledger) =>
  ledger.recordCompleted({
    ...late,
    at: T0 + 60_000,
    runnerName: "someone-1",
    runnerId: 5,
    conclusion: "success",
  });
const cancelled: Event = (ledger) =>
  ledger.recordCompleted({ ...late, at: T0 + 60_000, runnerName: "", runnerId: 0, conclusion: "cancelled" });

describe("workflow jobs in the ledger", () => {
  let test: TestLedger;
  let ledger: Ledger;
  before(async () => {
    test = await startLedger();
    ledger = test.ledger;
  });
  beforeEach(() => test.redis.flushall());
  after(() => test.stop());

  const histories: Record<string, Event[]> = {
    "queued, in progress, completed": [queued, inProgress, completed],
    "queued, cancelled": [queued, cancelled],
    "queued, in progress": [queued, inProgress],
    "queued, in progress, cancelled without a runner named": [queued, inProgress, cancelled],
  };
  for (const [name, events] of Object.entries(histories)) {
    it(`ends the same in any order and with any event repeated: ${name}`, async () => {
      const ends = new Map<string, string>();
      for (const sequence of withRepeats(events)) {
        await test.redis.flushall();
        for (const event of sequence) await event(ledger);
        const record = await ledger.getWorkflowJob(key);
        const [size, counts] = [await ledger.listOpenDemands(), await ledger.countByClass()];
        ends.set(JSON.stringify(sort({ record, size, counts })), sequence.map((event) => event.name).join());
      }
      expect([...ends.values()]).to.have.length(1);
      expect([...ends.keys()][0]).to.include(`"counts":[]`);
    });
  }

  it("keeps the whole demand", async () => {
    await ledger.recordQueued(demand(job));
    const record = await ledger.getWorkflowJob(key);
    expect(record?.demand).to.deep.equal(demand(job));
    expect(record?.times).to.deep.equal({ queued: T0, received: T0 + 1_000 });
  });

  it("takes a repeated queued delivery as no news, and keeps when its demand was first enqueued", async () => {
    expect(await ledger.recordQueued(demand(job))).to.include({ isNew: true, isEnqueued: false });
    expect(await ledger.recordQueued(demand(job))).to.include({ isNew: false, isEnqueued: false });
    await ledger.markEnqueued(key, T0 + 1_100);
    await ledger.markEnqueued(key, T0 + 9_100);
    const again = await ledger.recordQueued(demand(job));
    expect(again).to.deep.equal({
      isNew: false,
      isEnqueued: true,
      state: "queued",
      demandState: "waiting",
    });
    expect((await ledger.getWorkflowJob(key))?.times.enqueued).to.equal(T0 + 1_100);
  });

  it("counts each of many that come together, in its own class, and lists them in the order of their coming", async () => {
    const come = [5, 3, 4, 1, 2].map((id) => ({
      ...demand(id, { runnerClass: id % 2 === 0 ? "even" : "odd", dryRun: id === 3 }),
      receivedAt: T0 + id,
    }));
    await Promise.all([...come, ...come.slice(0, 2)].map((one) => ledger.recordQueued(one)));
    const open = await ledger.listOpenDemands();
    expect(open.map((record) => [record.key, record.demand.runnerClass])).to.have.deep.members([
      ...[1, 5].map((id) => [`wfj-${id}`, "odd"]),
      ...[2, 4].map((id) => [`wfj-${id}`, "even"]),
    ]);
    const listed = await ledger.listWorkflowJobs(10);
    expect(listed.map(({ key }) => key)).to.deep.equal([5, 4, 3, 2, 1].map((id) => `wfj-${id}`));
    expect(await test.redis.smembers("{grp}:pools")).to.have.lengthOf(2);
  });

  describe("with a queue job to be added in the same script", () => {
    // It refuses a job named "refused", as BullMQ does with a number below zero, and breaks over one named "broken".
    const script = {
      name: "test",
      lua: `
if ARGV[1] == 'refused' then return -5 end
if ARGV[1] == 'broken' then redis.call('INCR', KEYS[1]) end
redis.call('RPUSH', KEYS[1], ARGV[1] .. ' ' .. ARGV[2])
return ARGV[1]`,
    };
    const entryOf = (name: string, provider: ProviderName = "ec2"): QueueEntry => ({
      ...{ provider, script, keys: [`{grp}:line-${provider}`] },
      args: [name, Buffer.from("a job")],
    });
    const line = (provider: ProviderName) => test.redis.lrange(`{grp}:line-${provider}`, 0, -1);

    it("adds it once, and tells of the first time only", async () => {
      for (const isNew of [true, false])
        expect(await ledger.recordQueued(demand(job), entryOf("one"))).to.include({
          isNew,
          isEnqueued: !isNew,
        });
      expect(await line("ec2")).to.deep.equal(["one a job"]);
      expect((await ledger.getWorkflowJob(key))?.times.enqueued).to.equal(T0);
    });

    it("adds the job of a demand that was only written down, and none where that was marked", async () => {
      await ledger.recordQueued(demand(job));
      await ledger.recordQueued(demand(4_711));
      await ledger.markEnqueued("wfj-4711", T0 + 1_100);
      expect(await ledger.recordQueued(demand(job), entryOf("one"))).to.include({ isEnqueued: false });
      expect(await ledger.recordQueued(demand(4_711), entryOf("two"))).to.include({ isEnqueued: true });
      expect(await line("ec2")).to.deep.equal(["one a job"]);
    });

    for (const [what, event] of Object.entries({ started: inProgress, cancelled }))
      it(`adds none for a job that is ${what}`, async () => {
        await event(ledger);
        await ledger.recordQueued(demand(job), entryOf("late"));
        expect(await line("ec2")).to.deep.equal([]);
        expect((await ledger.getWorkflowJob(key))?.times).not.to.have.property("enqueued");
      });

    it("adds none for a dead letter or a dismissed one that no queue had", async () => {
      const failure = { at: T0, errorClass: "unknown", message: "no", demand: demand(job) };
      await ledger.recordQueued(demand(job));
      await ledger.recordFailure(key, failure);
      expect(await ledger.recordQueued(demand(job), entryOf("late"))).to.include({ demandState: "failed" });
      await ledger.dismissDead(key, T0);
      expect(await ledger.recordQueued(demand(job), entryOf("late"))).to.include({
        demandState: "dismissed",
      });
      expect(await line("ec2")).to.deep.equal([]);
    });

    it("adds none of another generation, and refuses entries that differ in their arguments", async () => {
      await ledger.recordQueued(demand(job), entryOf("one"));
      await ledger.recordQueued(demand(job, { generation: 2 }), entryOf("two"));
      expect(await line("ec2")).to.deep.equal(["one a job"]);
      const longer = { ...entryOf("three"), args: ["three", "a job", "more"] };
      const settled = await Promise.allSettled([
        ledger.recordQueued(demand(8), entryOf("eight")),
        ledger.recordQueued(demand(9), longer),
      ]);
      expect(settled.map(({ status }) => status)).to.deep.equal(["rejected", "rejected"]);
    });

    it("puts each of many into its own queue, and lets none fail for another", async () => {
      await test.redis.rpush("{grp}:line-ec2", "first");
      const names = ["one", "refused", "two", "broken", "three"];
      const settled = await Promise.allSettled(
        names.map((name, at) =>
          ledger.recordQueued(demand(at + 1), entryOf(name, at === 2 ? "codemagic" : "ec2")),
        ),
      );
      expect(settled.map(({ status }) => status)).to.deep.equal([
        ...["fulfilled", "rejected", "fulfilled", "rejected", "fulfilled"],
      ]);
      const [, refused, , broken] = settled as PromiseRejectedResult[];
      expect(String(refused?.reason)).to.include("the queue refused it: -5");
      expect(String(broken?.reason)).to.include("WRONGTYPE");
      expect(await line("ec2")).to.deep.equal(["first", "one a job", "three a job"]);
      expect(await line("codemagic")).to.deep.equal(["two a job"]);
      // Sent again, the refused one is taken.
      expect(await ledger.recordQueued(demand(2), entryOf("again"))).to.include({ isEnqueued: false });
      expect(await line("ec2")).to.include("again a job");
    });
  });

  it("does not ask for a runner when the job was over before its queued delivery came", async () => {
    await cancelled(ledger);
    const verdict = await ledger.recordQueued(demand(job));
    expect(verdict).to.include({ isNew: false, state: "completed", demandState: "cancelled" });
    expect(await ledger.listOpenDemands()).to.deep.equal([]);
  });

  it("says once that a waiting demand was withdrawn", async () => {
    await queued(ledger);
    const end = { workflowJobId: job, at: T0 + 5_000, conclusion: "cancelled" };
    expect(await ledger.recordCompleted(end)).to.include({ withdrawn: true, isNew: false });
    expect(await ledger.recordCompleted(end)).to.include({ withdrawn: false });
    expect(await ledger.countByClass()).to.deep.equal([]);
  });

  it("counts a completed job as served when a runner is named, though in_progress never came", async () => {
    await queued(ledger);
    const change = await ledger.recordCompleted({
      workflowJobId: job,
      at: T0 + 60_000,
      runnerName: "elsewhere",
      conclusion: "failure",
    });
    expect(change.withdrawn).to.equal(false);
    expect(change.record).to.include({ demandState: "served", servedBy: "elsewhere", conclusion: "failure" });
  });

  it("keeps nothing of a job that is none of ours", async () => {
    const change = await ledger.recordCompleted({ workflowJobId: 5, at: T0, runnerName: "GitHub Actions 7" });
    expect(change).to.deep.equal({ isNew: false, withdrawn: false });
    expect(await test.redis.dbsize()).to.equal(0);
  });

  it("learns which of our runners took which job, whoever it was started for", async () => {
    const [first, second] = [await launchOne(ledger, 1, "i-1"), await launchOne(ledger, 2, "i-2")];
    const name = second.runnerNames[0] ?? "";
    const change = await ledger.recordInProgress({
      workflowJobId: 1,
      at: T0 + 9_000,
      runnerName: name,
      runnerId: 8,
    });
    expect(change.runner).to.include({
      runnerName: name,
      step: "busy",
      workflowJobKey: "wfj-1",
      runnerId: 8,
    });
    expect(change.record?.servedBy).to.equal(name);
    expect(change.record?.launchIds).to.deep.equal([first.launchId]);
    expect(await ledger.countByClass()).to.deep.include.members([
      { runnerClass: "ubuntu-arm64", scope: "repo:acme/app", demand: 1, supply: 1 },
    ]);
    const end = await ledger.recordCompleted({ workflowJobId: 1, at: T0 + 99_000, runnerName: name });
    expect(end.runner?.step).to.equal("finished");
  });

  it("takes no runner of ours for another repository's that bears its name", async () => {
    const { runnerNames } = await launchOne(ledger, 1, "i-1");
    const update = { at: T0 + 9_000, runnerName: runnerNames[0] ?? "", runnerId: 8 };
    const stranger = { ...update, workflowJobId: 99, in: { owner: "acme", repository: "other" } };
    for (const change of [await ledger.recordInProgress(stranger), await ledger.recordCompleted(stranger)])
      expect(change).not.to.have.property("runner");
    const own = { ...update, workflowJobId: 1, in: { owner: "Acme", repository: "App" } };
    expect((await ledger.recordInProgress(own)).runner).to.include({ step: "busy", workflowJobKey: "wfj-1" });
  });

  it("takes an organization's runner for any repository of its owner's, and for no other owner's", async () => {
    const scope = { kind: "organization", owner: "acme", runnerGroup: "builders" } as const;
    const wanted = demand(1, { scope });
    await ledger.recordQueued(wanted);
    const opened = order([wanted]);
    await ledger.openLaunch(opened);
    await ledger.recordLaunched(opened.launchId, [instance(opened.launchId, "i-1")], T0);
    const update = { workflowJobId: 2, at: T0, runnerName: opened.runnerNames[0] ?? "" };
    const theirs = await ledger.recordInProgress({ ...update, in: { owner: "acme-2", repository: "app" } });
    expect(theirs).not.to.have.property("runner");
    const ours = await ledger.recordInProgress({ ...update, in: { owner: "acme", repository: "any" } });
    expect(ours.runner).to.include({ step: "busy" });
  });

  it("lists which runner each runs on, from its start to its end, whatever comes twice or late", async () => {
    await queued(ledger);
    expect(await ledger.listRunning()).to.deep.equal([]);
    await inProgress(ledger);
    await inProgress(ledger);
    await ledger.recordInProgress({ workflowJobId: 78, demand: demand(78), at: T0, runnerName: "someone-2" });
    const second = { key: "wfj-78", servedBy: "someone-2" };
    expect(await ledger.listRunning()).to.deep.equal([second, { key, servedBy: "someone-1" }]);
    await completed(ledger);
    await inProgress(ledger);
    expect(await ledger.listRunning()).to.deep.equal([second]);
    const other = { workflowJobId: 78, at: T0 + 1, runnerName: "someone-3" };
    await ledger.recordInProgress(other);
    expect(await ledger.listRunning()).to.deep.equal([{ ...second, servedBy: "someone-3" }]);
    await ledger.recordCompleted({ workflowJobId: 78, at: T0 + 2, conclusion: "unknown" });
    expect(await ledger.listRunning()).to.deep.equal([]);
  });

  it("tells what a waiting demand waits for, and forgets it when it starts", async () => {
    await queued(ledger);
    await ledger.setWaitsFor(key, "cap class:ubuntu-arm64 (3 ahead)");
    expect((await ledger.getWorkflowJob(key))?.waitsFor).to.equal("cap class:ubuntu-arm64 (3 ahead)");
    await ledger.setWaitsFor(key, null);
    expect(await ledger.getWorkflowJob(key)).not.to.have.property("waitsFor");
    await ledger.setWaitsFor(key, "capacity");
    await inProgress(ledger);
    await ledger.setWaitsFor(key, "capacity");
    expect(await ledger.getWorkflowJob(key)).not.to.have.property("waitsFor");
  });

  it("keeps the last twenty notes", async () => {
    await queued(ledger);
    for (let at = 0; at < 30; at++)
      await ledger.addNote(key, { at, kind: "skipped", text: "x".repeat(9_000) });
    const notes = (await ledger.getWorkflowJob(key))?.notes ?? [];
    expect(notes.map((note) => note.at)).to.deep.equal(Array.from({ length: 20 }, (_, index) => index + 10));
    expect(notes[0]?.text).to.have.length(500);
  });

  it("says how long the first of each class and scope has waited", async () => {
    for (const [id, receivedAt] of [
      [1, T0 + 1_000],
      [2, T0 + 500],
    ] as const)
      await ledger.recordQueued(demand(id, { receivedAt }));
    const pool = { runnerClass: "ubuntu-arm64", scope: "repo:acme/app" };
    expect(await ledger.listLongestWaits(T0 + 3_500)).to.deep.equal([{ ...pool, ageMs: 3_000 }]);
    for (const workflowJobId of [1, 2]) await ledger.recordCompleted({ workflowJobId, at: T0 });
    expect(await ledger.listLongestWaits(T0 + 3_500)).to.deep.equal([]);
  });

  it("keeps retries in a row as one note, the latest", async () => {
    await ledger.recordQueued(demand(1));
    for (const kind of ["lost", "retry", "retry", "lost", "retry", "retry"])
      await ledger.addNote("wfj-1", { at: T0, kind, text: "" });
    const notes = (await ledger.getWorkflowJob("wfj-1"))?.notes ?? [];
    expect(notes.map(({ kind }) => kind)).to.deep.equal(["lost", "retry", "lost", "retry"]);
  });

  it("keeps what became of a machine's claims in a row as one note, the latest", async () => {
    const [runnerName = ""] = (await launchOne(ledger, 1, "i-1")).runnerNames;
    const kinds = ["claim-unanswered", "claim-refused", "claim-unanswered", "unlisted", "claim-refused"];
    for (const [index, kind] of [...kinds, ...kinds].entries())
      await ledger.addRunnerNote(runnerName, { at: T0 + index, kind, text: `${index}` });
    const notes = (await ledger.getRunner(runnerName))?.notes ?? [];
    expect(notes.map(({ kind, text }) => `${kind} ${text}`)).to.deep.equal([
      "claim-unanswered 2",
      "unlisted 3",
      "claim-unanswered 7",
      "unlisted 8",
      "claim-refused 9",
    ]);
  });

  it("raises the generation when the sweep asks for another machine, and never lowers it", async () => {
    for (const generation of [1, 3, 2]) await ledger.recordQueued(demand(job, { generation }));
    expect((await ledger.getWorkflowJob(key))?.demand.generation).to.equal(3);
  });

  it("counts no dry run as demand, and ends it with its plan", async () => {
    const planned = demand(job, { key: "dry-abc", dryRun: true });
    await ledger.recordQueued(planned);
    expect(await ledger.countByClass()).to.deep.equal([]);
    expect(await ledger.openLaunch(order([planned]))).not.to.have.property("opened");
    await ledger.recordPlan("dry-abc", { verdict: "would-launch", offerings: [] });
    expect(await ledger.getPlan("dry-abc")).to.deep.equal({ verdict: "would-launch", offerings: [] });
    expect(await ledger.getPlan("dry-none")).to.equal(null);
    expect((await ledger.getWorkflowJob("dry-abc"))?.demandState).to.equal("served");
  });

  it("lists workflow jobs newest first and open demands alone", async () => {
    for (let id = 1; id <= 3; id++) await ledger.recordQueued(demand(id, { receivedAt: T0 + id }));
    await ledger.recordInProgress({ workflowJobId: 2, at: T0 + 10 });
    expect((await ledger.listWorkflowJobs(2)).map((record) => record.key)).to.deep.equal(["wfj-3", "wfj-2"]);
    expect((await ledger.listOpenDemands()).map((record) => record.key)).to.have.members(["wfj-1", "wfj-3"]);
  });

  it("reads records with fields it doesn't know", async () => {
    await queued(ledger);
    await test.redis.hset(`{grp}:job:${key}`, "d.colour", `"red"`, "d.shape", "no JSON", "zone", "b");
    expect((await ledger.getWorkflowJob(key))?.demand).to.deep.equal(demand(job));
  });
});

/** Every order of the events, and each of those with one event sent again at the end. */
function withRepeats(events: readonly Event[]): Event[][] {
  return permutations(events).flatMap((sequence) => [
    sequence,
    ...sequence.map((again) => [...sequence, again]),
  ]);
}

/** Members in order of name, so that equal records give equal text. */
function sort(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sort);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, member]) => [name, sort(member)]));
}
