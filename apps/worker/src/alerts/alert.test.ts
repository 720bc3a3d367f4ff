import { expect } from "chai";
import type { WorkerContext } from "../context.ts";
import { type Harness, makeDemand, startHarness } from "../testing/harness.ts";
import { type Receiver, startReceiver } from "../testing/receiver.ts";
import { alertOfNews } from "./alert.ts";

const MINUTE = 60_000;
const { signal } = new AbortController();

describe("alertOfNews", () => {
  let test: Awaited<ReturnType<typeof startHarness>>;
  let harness: Harness;
  let slack: Receiver;
  before(async () => {
    test = await startHarness();
  });
  after(() => test.stop());
  beforeEach(async () => {
    harness = await test.create();
    slack = await startReceiver();
    slack.status = 200;
  });
  afterEach(() => slack.close());

  let lastId = 0;
  async function bury(
    count: number,
    failure: { code?: string; message?: string; runnerClass?: string } = {},
  ) {
    const { code = "InvalidAMIID.NotFound", message = "no such image", runnerClass = "linux" } = failure;
    for (let index = 0; index < count; index++) {
      const demand = makeDemand({ workflowJobId: ++lastId, runnerClass });
      const why = { at: harness.clock.now, errorClass: "invalid-spec", code, message, demand };
      await harness.ledger.recordFailure(demand.key, why);
    }
  }
  const look = (context: WorkerContext = harness) =>
    alertOfNews(context, `${slack.url}/services/T0/secret`, signal);
  const texts = () => slack.received.map(({ body }) => (JSON.parse(body) as { text: string }).text);

  it("says nothing while nothing failed", async () => {
    await look();
    expect(slack.received).to.have.length(0);
  });

  it("makes one message of an outage, grouped by class and error", async () => {
    await bury(40);
    await bury(2, { code: "Unauthorized", message: "no\nright <here>", runnerClass: "mac" });
    await Promise.all([look()]);
    await look();
    expect(texts()).to.have.length(1);
    const [first = ""] = texts();
    expect(first.split("\n")).to.have.length(4);
    expect(first).to.match(/^grp: 42 workflow jobs have no runner/);
    expect(first).to.contain("• 40 × linux: invalid-spec (InvalidAMIID.NotFound); latest acme/app wfj-");
    expect(first).to.contain("• 2 × mac: invalid-spec (Unauthorized); latest");
    expect(first).to.contain("no right &lt;here&gt;");
  });

  it("makes one message of thousands, and a short one", async () => {
    await bury(1_500);
    for (let tries = 0; tries < 3; tries++) await look();
    expect(texts()).to.have.length(1);
    expect(texts()[0]).to.match(/^grp: 1000 or more workflow jobs have no runner/);
    expect(texts()[0]?.length).to.be.below(500);
  });

  it("tells what came later in digests that grow rarer while it lasts, across workers", async () => {
    const sentAt: number[] = [];
    for (let minute = 0; minute < 180; minute++) {
      await bury(1);
      const before = slack.received.length;
      await look(harness.with({}));
      if (slack.received.length > before) sentAt.push(minute);
      harness.clock.now += MINUTE;
    }
    expect(sentAt).to.deep.equal([0, 5, 15, 35, 75, 135]);
    const told = texts().map((text) => Number(/: (\d+) workflow/.exec(text)?.[1]));
    expect(told).to.deep.equal([1, 5, 10, 20, 40, 60]);
  });

  it("is quick again after a quiet time", async () => {
    for (let minute = 0; minute < 20; minute++, harness.clock.now += MINUTE) {
      await bury(1);
      await look();
    }
    harness.clock.now += 60 * MINUTE;
    await look();
    harness.clock.now += 60 * MINUTE;
    const before = slack.received.length;
    await bury(1);
    await look();
    harness.clock.now += 5 * MINUTE;
    await bury(1);
    await look();
    expect(slack.received.length - before).to.equal(2);
  });

  it("forgets nothing while the receiver is away, and waits a minute between its tries", async () => {
    await bury(3);
    slack.status = 503;
    await look();
    await look();
    expect(slack.received).to.have.length(1);
    slack.status = 200;
    harness.clock.now += MINUTE;
    await look();
    expect(texts().at(-1)).to.match(/^grp: 3 workflow jobs/);
    expect(harness.lines.map(({ level }) => level)).to.deep.equal(["warn", "info"]);
  });

  it("is quiet for five minutes after the first message that gets through, as if none had failed", async () => {
    slack.status = 503;
    for (let minute = 0; minute < 3; minute++, harness.clock.now += MINUTE) {
      await bury(1);
      await harness.ledger.raiseWarning({
        kind: "blind",
        text: "EC2",
        at: harness.clock.now,
        ttlMs: 60 * MINUTE,
      });
      await look();
    }
    slack.status = 200;
    const sentAt: number[] = [];
    for (let minute = 0; minute < 16; minute++, harness.clock.now += MINUTE) {
      await bury(1);
      const text = `warning ${minute}`;
      await harness.ledger.raiseWarning({ kind: "blind", text, at: harness.clock.now, ttlMs: 60 * MINUTE });
      const before = slack.received.length;
      await look();
      if (slack.received.length > before) sentAt.push(minute);
    }
    expect(sentAt).to.deep.equal([0, 5, 15]);
  });

  it("tells of a warning once for as long as it lasts, with the dead letters of the time, and again when it comes back", async () => {
    const { ledger, clock } = harness;
    const warn = (text: string) =>
      ledger.raiseWarning({ kind: "blind", text, at: clock.now, ttlMs: 10 * MINUTE });
    await warn("the sweep can't ask <EC2>");
    await bury(1);
    await look();
    expect(texts()).to.have.length(1);
    expect(texts()[0]).to.match(
      /1 workflow job has no runner.*grp: 1 warning\n• the sweep can't ask &lt;EC2&gt;/s,
    );
    for (let minute = 0; minute < 30; minute++, clock.now += MINUTE) {
      await warn("the sweep can't ask <EC2>");
      await look();
    }
    expect(texts()).to.have.length(1);
    clock.now += 11 * MINUTE;
    await warn("the sweep can't ask <EC2>");
    await look();
    expect(texts()).to.have.length(2);
    expect(texts()[1]).to.match(/^grp: 1 warning/);
  });

  it("keeps no dead letter waiting for a warning that was just told", async () => {
    const warning = { kind: "blind", text: "blind", at: harness.clock.now, ttlMs: MINUTE };
    await harness.ledger.raiseWarning(warning);
    await look();
    await bury(1);
    await look();
    expect(texts().map((text) => text.split("\n")[0])).to.deep.equal([
      "grp: 1 warning",
      "grp: 1 workflow job has no runner, and will get none until somebody looks",
    ]);
  });

  it("tells of one that was retried and failed again", async () => {
    await bury(1);
    await look();
    const key = `wfj-${lastId}`;
    await harness.ledger.reviveDead(key);
    harness.clock.now += 10 * MINUTE;
    const again = { at: harness.clock.now, errorClass: "invalid-spec", message: "still" };
    await harness.ledger.recordFailure(key, again);
    await look();
    expect(texts()).to.have.length(2);
  });

  it("ends quietly when nobody listens, and lets out neither a secret nor its address", async () => {
    await bury(1, { message: "refused: token ghp_0123456789abcdef0123456789abcdef0123" });
    await look();
    expect(texts()[0]).to.not.contain("ghp_0");
    harness.clock.now += 6 * MINUTE;
    await bury(1);
    await alertOfNews(harness, "http://127.0.0.1:1/services/T0/secret", signal);
    expect(harness.lines.at(-1)).to.nested.include({ message: "alert.sent", "fields.code": "ECONNREFUSED" });
    expect(JSON.stringify(harness.lines)).to.not.contain("secret");
  });
});
