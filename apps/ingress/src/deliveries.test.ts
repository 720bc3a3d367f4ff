import { gzipSync } from "node:zlib";
import { QueueUnavailableError } from "@grp/queue";
import { expect } from "chai";
import { CATALOG } from "./testing/catalog.ts";
import {
  type DeliveryOptions,
  deliver,
  recordWithMark,
  sign,
  type TestAnswer,
  type TestIngress,
  WEBHOOK_SECRETS,
} from "./testing/ingress.ts";
import { PING_EXAMPLE, PUSH_EXAMPLE, workflowJob } from "./testing/payloads.ts";
import { expectNoEffect, useIngress } from "./testing/suite.ts";

interface Row {
  readonly what: string;
  readonly payload?: object | string;
  readonly options?: DeliveryOptions;
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

const queued = () => workflowJob("queued");
const rejected = (reason: string) => ({ outcome: "rejected", reason });
const ignored = (reason: string) => ({ outcome: "ignored", reason });
const signed = (body: string) => ({ "x-hub-signature-256": sign(body) });

/** What is not valid, each with the answer that says so. */
const BAD_INPUT: readonly Row[] = [
  {
    what: "signature of another secret",
    options: { secret: "a stranger's secret" },
    status: 401,
    body: rejected("signature-wrong"),
  },
  {
    what: "no signature",
    options: { headers: { "x-hub-signature-256": null } },
    status: 401,
    body: rejected("signature-missing"),
  },
  {
    what: "sha1 signature only",
    options: { headers: { "x-hub-signature-256": null, "x-hub-signature": `sha1=${"0".repeat(40)}` } },
    status: 401,
    body: rejected("signature-missing"),
  },
  {
    what: "sha1 in the place of sha256",
    options: { headers: { "x-hub-signature-256": `sha1=${"0".repeat(40)}` } },
    status: 401,
    body: rejected("signature-wrong"),
  },
  {
    what: "signature cut short",
    options: { headers: { "x-hub-signature-256": "sha256=abc" } },
    status: 401,
    body: rejected("signature-wrong"),
  },
  {
    what: "body changed after it was signed",
    payload: queued(),
    options: { headers: signed("{}") },
    status: 401,
    body: rejected("signature-wrong"),
  },
  { what: "empty body", payload: "", status: 400, body: rejected("empty") },
  { what: "broken JSON", payload: '{"action":"queued"', status: 400, body: rejected("malformed") },
  { what: "JSON, but no delivery", payload: "[]", status: 400, body: rejected("malformed") },
  {
    what: "workflow job without an id",
    payload: workflowJob("queued", { job: { id: null } }),
    status: 400,
    body: rejected("malformed"),
  },
  {
    what: "workflow job id beyond 2^53",
    payload: JSON.stringify(queued()).replace(/"id":\d{11},/, '"id":99999999999999999999,'),
    status: 400,
    body: rejected("malformed"),
  },
  {
    what: "form without payload",
    payload: "a=b",
    options: { headers: { "content-type": "application/x-www-form-urlencoded" } },
    status: 400,
    body: rejected("malformed"),
  },
  {
    what: "form with broken JSON",
    payload: "{",
    options: { form: true },
    status: 400,
    body: rejected("malformed"),
  },
  {
    what: "wrong content type",
    options: { headers: { "content-type": "text/plain" } },
    status: 415,
    body: rejected("content-type"),
  },
  {
    what: "no content type",
    options: { headers: { "content-type": null } },
    status: 415,
    body: rejected("content-type"),
  },
  {
    what: "no event header",
    options: { headers: { "x-github-event": null } },
    status: 400,
    body: rejected("headers"),
  },
  {
    what: "no delivery header",
    options: { headers: { "x-github-delivery": null } },
    status: 400,
    body: rejected("headers"),
  },
  {
    what: "delivery header with strange signs",
    options: { headers: { "x-github-delivery": "{grp}:x y" } },
    status: 400,
    body: rejected("headers"),
  },
];

/** Valid, but nothing to do for us. */
const NOT_OURS: readonly Row[] = [
  {
    what: "ping",
    payload: PING_EXAMPLE,
    options: { event: "ping" },
    status: 200,
    body: { outcome: "pong" },
  },
  {
    what: "an event that is not ours",
    payload: PUSH_EXAMPLE,
    options: { event: "push" },
    status: 200,
    body: { ...ignored("event"), event: "push" },
  },
  {
    what: "an event that is not ours, its body never parsed",
    payload: "no JSON at all",
    options: { event: "push" },
    status: 200,
    body: { ...ignored("event"), event: "push" },
  },
  {
    what: "waiting",
    payload: workflowJob("waiting"),
    status: 200,
    body: { ...ignored("waiting"), action: "waiting" },
  },
  {
    what: "an action of the future",
    payload: workflowJob("requested"),
    status: 200,
    body: { ...ignored("action"), action: "requested" },
  },
  {
    what: "unknown label",
    payload: workflowJob("queued", { job: { labels: ["ubuntu-latest", "gpu"] } }),
    status: 200,
    body: { ...ignored("labels"), labels: ["ubuntu-latest", "gpu"], repository: "acme/app" },
  },
  {
    what: "one known and one unknown label",
    payload: workflowJob("queued", { job: { labels: ["ubuntu-arm64", "gpu"] } }),
    status: 200,
    body: ignored("labels"),
  },
  {
    what: "no labels",
    payload: workflowJob("queued", { job: { labels: [] } }),
    status: 200,
    body: ignored("no-labels"),
  },
  {
    what: "public repository",
    payload: workflowJob("queued", { repository: { private: false } }),
    status: 200,
    body: ignored("public-repository"),
  },
  {
    what: "repository of an owner who is not allowed",
    payload: workflowJob("queued", { owner: { login: "stranger" } }),
    status: 200,
    body: { ...ignored("repository-not-allowed"), repository: "stranger/app" },
  },
  {
    what: "a stranger's job in progress",
    payload: workflowJob("in_progress", { job: { labels: ["ubuntu-latest", "x"], runner_name: "GitHub 1" } }),
    status: 200,
    body: ignored("labels"),
  },
];

const line = ({ status, body }: Pick<Row, "status" | "body">) =>
  [status, body.outcome, body.reason].filter(Boolean).join(" ");

describe("POST /webhook", () => {
  const suite = useIngress();
  let ingress: TestIngress;
  beforeEach(async () => {
    ingress = await suite.start();
  });

  async function expectLine(answer: TestAnswer, level = "info"): Promise<void> {
    const { outcome, reason } = answer.body;
    const logged = await ingress.logged("delivery.received");
    expect(logged).to.include({ status: answer.status, outcome, level });
    if (reason !== undefined) expect(logged).to.include({ reason });
    expect(ingress.logLines("delivery.received")).to.have.length(1);
  }

  describe("refuses, and does nothing for", () => {
    for (const { what, payload = queued(), options, status, body } of BAD_INPUT) {
      it(`${what}: ${line({ status, body })}`, async () => {
        const answer = await deliver(ingress, payload, options);
        expect(answer.status).to.equal(status);
        expect(answer.body).to.include(body);
        expect(answer.body.detail).to.be.a("string").that.has.length.above(5);
        await expectLine(answer, "warn");
        await expectNoEffect(ingress);
      });
    }

    it("compressed body: 415 rejected encoding.unsupported", async () => {
      const body = gzipSync(JSON.stringify(queued()));
      const response = await fetch(`${ingress.url}/webhook`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "content-encoding": "gzip",
          "x-github-event": "workflow_job",
          "x-github-delivery": "d-1",
          "x-hub-signature-256": sign(body),
        },
        body,
      });
      expect(response.status).to.equal(415);
      expect(await response.json()).to.include(rejected("encoding.unsupported"));
      await expectNoEffect(ingress);
    });

    for (const announced of [true, false]) {
      it(`30 MB body, its length ${announced ? "" : "not "}announced: 413 rejected entity.too.large`, async () => {
        const chunk = Buffer.alloc(1024 * 1024, " ");
        const chunks = Array.from({ length: 30 }, () => chunk);
        const response = await fetch(`${ingress.url}/webhook`, {
          method: "POST",
          headers: {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-github-delivery": "d-1",
          },
          body: announced ? Buffer.concat(chunks) : ReadableStream.from(chunks),
          duplex: "half",
        } as RequestInit);
        expect(response.status).to.equal(413);
        expect(await response.json()).to.include(rejected("entity.too.large"));
        await expectNoEffect(ingress);
        expect((await deliver(ingress, queued())).status).to.equal(202);
      });
    }

    it("anything but POST, and any other path: 404", async () => {
      for (const [method, path] of [
        ["GET", "/webhook"],
        ["POST", "/webhooks"],
        ["GET", "/metrics"],
        ["GET", "/readyz"],
      ] as const) {
        const response = await fetch(`${ingress.url}${path}`, { method });
        expect([path, response.status]).to.deep.equal([path, 404]);
        expect(await response.json()).to.include({ error: "not_found" });
      }
    });
  });

  describe("answers 200 and does nothing for", () => {
    for (const { what, payload = queued(), options, status, body } of NOT_OURS) {
      it(`${what}: ${line({ status, body })}`, async () => {
        const answer = await deliver(ingress, payload, options);
        expect(answer.status).to.equal(status);
        expect(answer.body).to.deep.include(body);
        await expectLine(answer);
        await expectNoEffect(ingress);
      });
    }
  });

  for (const form of [false, true]) {
    it(`turns a queued job into one demand, sent as ${form ? "a form" : "JSON"}`, async () => {
      const payload = workflowJob("queued", { job: { labels: ["Ubuntu-ARM64", "Linux"] } });
      const key = `wfj-${payload.workflow_job.id}`;
      const answer = await deliver(ingress, payload, { form, deliveryId: "d-1" });
      expect(answer.status).to.equal(202);
      expect(answer.body).to.deep.equal({ outcome: "enqueued", key, runnerClass: "ubuntu-arm64" });
      const record = await recordWithMark(ingress, key);
      expect(record).to.include({ workflowJobState: "queued", demandState: "waiting" });
      expect(record.times).to.include.keys("queued", "received", "enqueued");
      expect(record.demand).to.include({
        owner: "acme",
        repository: "app",
        deliveryId: "d-1",
        dryRun: false,
      });
      expect(record.demand.scope).to.deep.equal({ kind: "repository", owner: "acme", repository: "app" });
      expect(await ingress.producer.isUnderWay("ec2", key)).to.equal(true);
      expect([await ingress.waiting("ec2"), await ingress.waiting("codemagic")]).to.deep.equal([1, 0]);
      await expectLine(answer);
      const logged = ingress.logLines("delivery.received")[0];
      expect(logged).to.include({ key, deliveryId: "d-1", repository: "acme/app", event: "workflow_job" });
    });
  }

  it("gives each provider's jobs to its own queue, and organization classes an organization's scope", async () => {
    await deliver(ingress, workflowJob("queued", { job: { labels: ["macos-arm64"] } }));
    const forOrganization = workflowJob("queued", { job: { labels: ["for-organization"] } });
    await deliver(ingress, forOrganization);
    expect([await ingress.waiting("ec2"), await ingress.waiting("codemagic")]).to.deep.equal([1, 1]);
    const record = await ingress.ledger.getWorkflowJob(`wfj-${forOrganization.workflow_job.id}`);
    expect(record?.demand.scope).to.deep.equal({
      kind: "organization",
      owner: "acme",
      runnerGroup: "Default",
    });
  });

  it("accepts the previous secret while it is rotated", async () => {
    const answer = await deliver(ingress, queued(), { secret: WEBHOOK_SECRETS[1] });
    expect(answer.status).to.equal(202);
  });

  it("calls the same delivery again, and the same job in another, a duplicate", async () => {
    const payload = queued();
    await deliver(ingress, payload, { deliveryId: "d-1" });
    for (const deliveryId of ["d-1", "d-2"]) {
      const again = await deliver(ingress, payload, { deliveryId });
      expect(again.status).to.equal(200);
      expect(again.body).to.include({ outcome: "duplicate", runnerClass: "ubuntu-arm64" });
    }
    expect(await ingress.waiting("ec2")).to.equal(1);
  });

  /** The classes as an operator has rewritten them: that one's labels are served by the other's offerings, as `name`. */
  const rewrite = (name: string) => {
    const [ec2] = CATALOG.classes.filter((one) => one.name === "ubuntu-arm64");
    const classes = CATALOG.classes.map((one) =>
      one.name === "macOS-arm64" ? { ...one, name, offerings: ec2?.offerings ?? [] } : one,
    );
    return suite.start({ context: { catalog: { ...CATALOG, classes } } });
  };

  for (const name of ["macOS-arm64", "macOS-farm"])
    it(`leaves no second queue job of one sent again after its class became ${name} of another provider`, async () => {
      const payload = workflowJob("queued", { job: { labels: ["macos-arm64"] } });
      expect((await deliver(ingress, payload, { deliveryId: "d-1" })).status).to.equal(202);
      const changed = await rewrite(name);
      const again = await deliver(changed, payload, { deliveryId: "d-1" });
      expect([again.status, again.body.outcome]).to.deep.equal([200, "duplicate"]);
      expect([await ingress.waiting("ec2"), await ingress.waiting("codemagic")]).to.deep.equal([0, 1]);
      const key = `wfj-${payload.workflow_job.id}`;
      expect((await ingress.ledger.getWorkflowJob(key))?.demand.runnerClass).to.equal("macOS-arm64");
      // What only the changed one has heard of goes its way.
      await deliver(changed, workflowJob("queued", { job: { labels: ["macos-arm64"] } }));
      expect([await ingress.waiting("ec2"), await ingress.waiting("codemagic")]).to.deep.equal([1, 1]);
    });

  it("enqueues one that was written down and not enqueued, where its class is served now", async () => {
    const payload = workflowJob("queued", { job: { labels: ["macos-arm64"] } });
    const recordQueued: typeof ingress.ledger.recordQueued = async (demand) => {
      await ingress.ledger.recordQueued(demand);
      throw new QueueUnavailableError("Redis is away");
    };
    const dying = await suite.start({ context: { ledger: { ...ingress.ledger, recordQueued } } });
    expect((await deliver(dying, payload)).status).to.equal(503);
    expect((await deliver(await rewrite("macOS-arm64"), payload)).status).to.equal(202);
    expect([await ingress.waiting("ec2"), await ingress.waiting("codemagic")]).to.deep.equal([1, 0]);
  });

  it("does not demand a runner for a job that has started or ended already", async () => {
    for (const action of ["in_progress", "completed"]) {
      const later = workflowJob(action, { job: { runner_name: "another", conclusion: "success" } });
      const told = await deliver(ingress, later);
      expect([told.status, told.body.outcome]).to.deep.equal([200, "recorded"]);
      const late = await deliver(ingress, { ...later, action: "queued" });
      expect(late.status).to.equal(200);
      expect(late.body).to.include({ outcome: "ignored", reason: "already-started", state: action });
    }
    expect(await ingress.waiting("ec2")).to.equal(0);
  });

  it("writes down who took the job and how it ended", async () => {
    const payload = queued();
    const key = `wfj-${payload.workflow_job.id}`;
    await deliver(ingress, payload);
    const job = { id: payload.workflow_job.id, runner_name: "GitHub 7", runner_id: 7 };
    await deliver(ingress, workflowJob("in_progress", { job }));
    expect(await ingress.ledger.getWorkflowJob(key)).to.include({
      workflowJobState: "in_progress",
      demandState: "served",
      servedBy: "GitHub 7",
    });
    const done = await deliver(ingress, workflowJob("completed", { job: { ...job, conclusion: "failure" } }));
    expect(done.body).to.deep.equal({ outcome: "recorded", action: "completed" });
    const record = await ingress.ledger.getWorkflowJob(key);
    expect(record).to.include({ workflowJobState: "completed", conclusion: "failure" });
  });

  it("withdraws a demand whose job is cancelled before it starts", async () => {
    const payload = queued();
    await deliver(ingress, payload);
    expect(await ingress.waiting("ec2")).to.equal(1);
    const job = { id: payload.workflow_job.id, conclusion: "cancelled" };
    const answer = await deliver(ingress, workflowJob("completed", { job }));
    expect(answer.body.outcome).to.equal("recorded");
    expect(await ingress.waiting("ec2")).to.equal(0);
    const record = await ingress.ledger.getWorkflowJob(`wfj-${payload.workflow_job.id}`);
    expect(record?.demandState).to.equal("cancelled");
    const again = await deliver(ingress, payload);
    expect(again.body).to.include({ outcome: "ignored", reason: "already-started" });
    expect(await ingress.waiting("ec2")).to.equal(0);
  });

  it("plans only, under an id of its own, with ?dry-run=true", async () => {
    const payload = queued();
    const options = { query: "?dry-run=true", deliveryId: "dry/1".replace("/", "-") };
    const answer = await deliver(ingress, payload, options);
    expect(answer.status).to.equal(202);
    const expected = { outcome: "enqueued", key: "dry-dry-1", runnerClass: "ubuntu-arm64", dryRun: true };
    expect(answer.body).to.deep.equal(expected);
    expect(await ingress.ledger.listOpenDemands()).to.deep.equal([]);
    expect(await ingress.waiting("ec2")).to.equal(1);
    await deliver(ingress, payload, { query: "?dry-run=false" });
    expect(await ingress.ledger.listOpenDemands()).to.have.length(1);
    const update = workflowJob("completed", {
      job: { id: payload.workflow_job.id, conclusion: "cancelled" },
    });
    const followed = await deliver(ingress, update, { query: "?dry-run=1" });
    expect(followed.body).to.include({ outcome: "ignored", reason: "dry-run" });
    expect(await ingress.ledger.listOpenDemands()).to.have.length(1);
  });

  it("takes no word for a dry run that it does not know, and launches nothing then", async () => {
    for (const word of ["banana", "on", "y", "ture", "off"]) {
      const answer = await deliver(ingress, queued(), { query: `?dry-run=${encodeURIComponent(word)}` });
      expect([answer.status, answer.body.reason], word).to.deep.equal([400, "dry-run"]);
    }
    await expectNoEffect(ingress);
    for (const query of [
      "?dry-run",
      "?dry-run=",
      "?dry-run=YES",
      "?dry-run=%20true",
      "?dry-run=no&dry-run=1",
    ]) {
      const answer = await deliver(ingress, queued(), { query });
      expect([answer.status, answer.body.dryRun], query).to.deep.equal([202, true]);
    }
  });

  it("counts what it answered", async () => {
    await deliver(ingress, queued());
    await deliver(ingress, queued(), { secret: "wrong" });
    await ingress.logged("delivery.received");
    const text = await ingress.metrics.registry.metrics();
    expect(text).to.match(
      /grp_deliveries_total\{event="workflow_job",outcome="enqueued",reason="",app="ingress"\} 1/,
    );
    expect(text).to.match(/grp_deliveries_total\{[^}]*outcome="rejected",reason="signature-wrong"[^}]*\} 1/);
  });
});
