import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createLedger, type Ledger } from "@grp/ledger";
import { createQueueConsumer, createQueueProducer, type QueueProducer } from "@grp/queue";
import { closeRedis, closeServer, createRedis, type Logger, listen, type Redis } from "@grp/runtime";
import axios, { type AxiosInstance } from "axios";
import { expect } from "chai";
import { startRedis, type TestRedis } from "../../../../test/support/redis.ts";
import { aDemand, silent, walkRunner } from "../testing/fixtures.ts";
import { retryDead } from "./actions.ts";
import { createOpsApp } from "./app.ts";
import { type Board, createBoard } from "./board.ts";

const credentials = { user: "ops", password: "correct horse" };

describe("createOpsApp", () => {
  let server: TestRedis;
  let redis: Redis;
  let ledger: Ledger;
  let producer: QueueProducer;
  const open: (() => Promise<void>)[] = [];
  before(async () => {
    server = await startRedis();
    redis = createRedis(server.url, { name: "test", onError: () => undefined });
    ledger = createLedger({ redis });
    producer = createQueueProducer({ redisUrl: server.url, deadlineMs: 1_000, onError: () => undefined });
    await producer.isReady();
  });
  after(async () => {
    await producer.close();
    await closeRedis(redis);
    await server.stop();
  });
  beforeEach(async () => {
    await redis.flushall();
  });
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close();
  });

  async function start(
    options: { isReadOnly?: boolean; anonymous?: boolean; logger?: Logger } = {},
  ): Promise<AxiosInstance> {
    const isReadOnly = options.isReadOnly ?? true;
    const board: Board = createBoard(redis, { basePath: "/queues", isReadOnly });
    const app = createOpsApp({
      board: board.router,
      context: {
        ...{ ledger, producer, findFailed: board.findFailed, isReadOnly, now: Date.now },
        logger: options.logger ?? silent,
        catalog: undefined,
      },
      ...(options.anonymous ? {} : { credentials }),
    });
    const http: Server = await listen(app, { port: 0, host: "127.0.0.1", setting: "OPS_PORT" });
    open.push(
      () => board.close(),
      () => closeServer(http, 10),
    );
    return axios.create({
      baseURL: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
      validateStatus: () => true,
      maxRedirects: 0,
      ...(options.anonymous ? {} : { auth: { username: credentials.user, password: credentials.password } }),
    });
  }

  it("asks for the password everywhere, and takes no other", async () => {
    const http = await start();
    for (const path of ["/", "/api/status", "/queues/", "/queues/api/queues", "/nowhere"]) {
      const none = await axios.get(`${http.defaults.baseURL}${path}`, { validateStatus: () => true });
      const wrong = await http.get(path, { auth: { username: "ops", password: "correct hors" } });
      expect([none.status, wrong.status], path).to.deep.equal([401, 401]);
      expect(none.headers["www-authenticate"]).to.contain("Basic");
    }
    expect((await http.get("/")).status).to.equal(200);
  });

  it("without a password answers only to the loopback's own names", async () => {
    const http = await start({ anonymous: true });
    expect((await http.get("/api/status")).status).to.equal(200);
    expect((await http.get("/api/status", { headers: { Host: "evil.example" } })).status).to.equal(403);
  });

  it("shows a workflow job joined with its launch and runner, step by step", async () => {
    const http = await start();
    await walkRunner(ledger, aDemand(7));
    const { data, status } = await http.get("/api/workflow-jobs/7");
    expect(status).to.equal(200);
    expect(data.timeline.map((entry: { step: string }) => entry.step)).to.deep.equal([
      ...[
        "queued",
        "received",
        "enqueued",
        "launched",
        "booted",
        "claimed",
        "online",
        "busy",
        "finished",
        "gone",
      ],
    ]);
    expect(data.timeline.at(-1)).to.deep.equal({ step: "gone", at: 9_000, elapsedMs: 7_900 });
    expect(data).to.deep.include({ key: "wfj-7", step: "gone", servedBy: "grp-a-0" });
    expect(data.explanation).to.deep.include({ whereNow: "finished: success", next: "nothing" });
    expect(data.launches).to.have.length(1);
    expect((await http.get("/api/workflow-jobs/wfj-7")).data.key).to.equal("wfj-7");
    expect((await http.get("/api/workflow-jobs")).data.workflowJobs).to.have.length(1);
    expect((await http.get("/api/workflow-jobs/8")).status).to.equal(404);
  });

  it("finds a workflow job by its address on GitHub, in the API and in the browser", async () => {
    const http = await start();
    await ledger.recordQueued(aDemand(7));
    const address = "https://github.com/acme/app/actions/runs/1/job/7?pr=3";
    expect((await http.get(`/api/workflow-jobs/${encodeURIComponent(address)}`)).data.key).to.equal("wfj-7");
    const found = await http.get("/find", { params: { id: address } });
    expect([found.status, found.headers.location]).to.deep.equal([303, "/workflow-jobs/wfj-7"]);
    expect((await http.get("/find")).data).to.contain('name="id"');
    const run = await http.get("/find", { params: { id: "https://github.com/acme/app/actions/runs/1" } });
    expect([run.status, run.data.includes("names no job")]).to.deep.equal([404, true]);
  });

  it("says why a workflow job was ignored", async () => {
    const http = await start();
    const ignored = { owner: "acme", repository: "app", labels: ["<windows>"], reason: "labels" as const };
    await ledger.recordIgnored({ ...ignored, workflowJobId: 8, at: 1_000 });
    const { data } = await http.get("/api/workflow-jobs/8");
    expect(data).to.deep.include({ kind: "ignored", key: "wfj-8" });
    expect(data.explanation.match).to.equal("no class has all of these labels");
    expect((await http.get("/workflow-jobs/wfj-8")).data)
      .to.contain("not ours")
      .and.contain("&lt;windows&gt;");
  });

  it("groups what waits by what it waits for, and shows warnings", async () => {
    const http = await start();
    for (const id of [1, 2, 3]) {
      await ledger.recordQueued(aDemand(id, { queuedAt: 1_000 * id }));
      await ledger.markEnqueued(`wfj-${id}`, 1_200);
    }
    await ledger.setWaitsFor("wfj-2", "cap class:ubuntu-arm64 (0 ahead)");
    await ledger.setWaitsFor("wfj-3", "cap class:ubuntu-arm64 (1 ahead)");
    await ledger.raiseWarning({ kind: "runner-version", text: "2.1 is old", at: Date.now(), ttlMs: 60_000 });
    const { data } = await http.get("/api/status");
    expect(data.waiting.map((one: object) => ({ ...one, next: "" }))).to.deep.equal([
      {
        ...{ runnerClass: "ubuntu-arm64", waitsFor: "a worker, or an idle runner of its class" },
        ...{ count: 1, since: 1_000, key: "wfj-1", next: "" },
      },
      {
        ...{ runnerClass: "ubuntu-arm64", waitsFor: "a place under cap class:ubuntu-arm64" },
        ...{ count: 2, since: 2_000, key: "wfj-2", next: "" },
      },
    ]);
    expect(data.warnings.map(({ text }: { text: string }) => text)).to.deep.equal(["2.1 is old"]);
    expect((await http.get("/")).data)
      .to.contain("2.1 is old")
      .and.contain("cap class:ubuntu-arm64");
  });

  it("shows when the last sweep ended, and warns when that is long ago", async () => {
    const http = await start();
    expect((await http.get("/api/status")).data).to.not.have.property("sweepAgeMs");
    expect((await http.get("/")).data).to.contain("none is known");
    await ledger.recordSweep({ at: Date.now() - 3_600_000, everyMs: 30_000 });
    const { data } = await http.get("/api/status");
    expect(data.sweepAgeMs).to.be.within(3_600_000, 3_660_000);
    expect(data.warnings.map(({ kind }: { kind: string }) => kind)).to.deep.equal(["sweep"]);
    expect((await http.get("/")).data)
      .to.contain("no sweep has come to its end")
      .and.match(/last sweep<[^ ]* class="soft">1 ?h[^<]* ago/);
  });

  it("says what a workflow job waits for", async () => {
    const http = await start();
    await ledger.recordQueued(aDemand(7));
    const before = await http.get("/api/workflow-jobs/7");
    expect(before.data.explanation.whereNow).to.equal("not yet in a queue");
    await ledger.markEnqueued("wfj-7", 1_200);
    await ledger.setWaitsFor("wfj-7", "cap class:ubuntu-arm64 (3 ahead)");
    const after = await http.get("/api/workflow-jobs/7");
    expect(after.data.explanation.waitsFor).to.equal("a place under cap class:ubuntu-arm64 (3 ahead)");
    expect(after.data.step).to.equal("enqueued");
  });

  it("draws the pages, everything from outside escaped, and nothing loaded from elsewhere", async () => {
    const http = await start({ isReadOnly: false });
    await ledger.recordQueued(aDemand(7, { labels: ["<script>alert(1)</script>"] }));
    const message = "no <b>AMI</b>";
    await ledger.recordFailure("wfj-7", { at: Date.now(), errorClass: "invalid-spec", message });
    const overview = await http.get("/");
    const page = await http.get("/workflow-jobs/7");
    expect(overview.data).to.contain("no &lt;b&gt;AMI").and.not.contain("<form");
    const dead = await http.get("/dead");
    expect(dead.data).to.contain("no &lt;b&gt;AMI").and.contain('action="/dead/wfj-7/retry"');
    expect(dead.data).to.contain("queued at GitHub").and.not.contain('http-equiv="refresh"');
    expect(page.data).to.contain("&lt;script&gt;alert").and.not.contain("<script");
    expect(overview.headers["referrer-policy"]).to.equal("same-origin");
    expect(overview.headers["content-security-policy"]).to.contain("default-src 'none'");
    for (const { data } of [overview, page, dead]) expect(data).not.to.match(/https?:\/\//);
    expect((await http.get("/workflow-jobs/404")).status).to.equal(404);
  });

  it("shows the board without a font from elsewhere, and read-only", async () => {
    const http = await start();
    await producer.enqueueDemand(aDemand(7), "ec2");
    const page = await http.get("/queues/");
    expect(page.status).to.equal(200);
    expect(page.data).to.contain("static/js/main").and.not.contain("googleapis");
    const list = await http.get(
      "/queues/api/queues?activeQueue=grp-ec2&status=waiting&page=1&jobsPerPage=10",
    );
    const queue = list.data.queues.find((one: { name: string }) => one.name === "grp-ec2");
    expect([queue.readOnlyMode, queue.jobs[0].id]).to.deep.equal([true, "wfj-7"]);
    expect((await http.put("/queues/api/queues/grp-ec2/pause")).status).to.equal(405);
  });

  it("refuses to change anything when read-only", async () => {
    const http = await start();
    const at = Date.now();
    await ledger.recordFailure("wfj-7", { at, errorClass: "x", message: "y", demand: aDemand(7) });
    for (const path of ["/api/dead/7/retry", "/api/dead/7/dismiss", "/dead/wfj-7/retry"])
      expect((await http.post(path)).status, path).to.equal(403);
    expect((await http.get("/dead")).data)
      .to.contain("OPS_READ_ONLY")
      .and.not.contain("<form");
  });

  it("refuses a change that another site asks for", async () => {
    const http = await start({ isReadOnly: false });
    for (const headers of [
      { Origin: "https://evil.example" },
      { Origin: "null" },
      { "Sec-Fetch-Site": "cross-site" },
    ])
      expect((await http.post("/api/dead/7/retry", "", { headers })).status).to.equal(403);
    expect(
      (await http.put("/queues/api/queues/grp-ec2/pause", {}, { headers: { Origin: "http://evil" } })).status,
    ).to.equal(403);
  });

  it("retries a dead letter under its own id, in the queue where it failed", async () => {
    const http = await start({ isReadOnly: false });
    const seen: string[] = [];
    const consumer = createQueueConsumer({
      redisUrl: server.url,
      provider: "codemagic",
      concurrency: 1,
      policy: { unknownAttempts: 1 },
      processors: {
        provision: async ({ key }) => {
          seen.push(key);
          if (seen.length === 1) throw new Error("bug");
          return { kind: "done", result: null };
        },
        terminate: async () => ({ kind: "done", result: null }),
      },
      onDead: async ({ demand, error }) => {
        if (demand)
          await ledger.recordFailure(demand.key, { at: 2, errorClass: "bug", message: error.message });
      },
      onError: () => undefined,
    });
    open.push(() => consumer.close(500));
    await ledger.recordQueued(aDemand(7));
    await producer.enqueueDemand(aDemand(7), "codemagic");
    await until(async () => (await failedIn("codemagic")) === 1);
    expect((await http.get("/api/dead")).data.dead[0].failure.message).to.equal("bug");
    expect((await http.post("/api/dead/7/retry")).data).to.deep.equal({ outcome: "done", key: "wfj-7" });
    await until(async () => seen.length === 2);
    expect((await http.get("/api/dead")).data.dead).to.deep.equal([]);
    expect((await http.post("/api/dead/7/retry")).status).to.equal(404);
  });

  it("says that a retry is of no use any more where GitHub has ended the workflow job", async () => {
    const http = await start({ isReadOnly: false });
    await ledger.recordQueued(aDemand(7));
    await ledger.recordFailure("wfj-7", { at: Date.now(), errorClass: "x", message: "y" });
    await ledger.recordCompleted({ workflowJobId: 7, at: Date.now(), conclusion: "cancelled" });
    expect((await http.get("/api/workflow-jobs/7")).data.explanation.next).to.contain("grp dismiss wfj-7");
    const { status, data } = await http.post("/api/dead/7/retry");
    expect([status, data.error]).to.deep.equal([404, "ended"]);
    expect((await http.get("/api/dead")).data.count).to.equal(0);
  });

  it("says to the second of two who retry at once that it is no dead letter any more", async () => {
    await ledger.recordQueued(aDemand(7));
    await ledger.recordFailure("wfj-7", { at: Date.now(), errorClass: "x", message: "y" });
    const context = {
      ...{
        ledger,
        producer,
        findFailed: async () => undefined,
        logger: silent,
        isReadOnly: false,
        now: Date.now,
      },
      catalog: undefined,
    } as const;
    const retry = () => retryDead(context, "wfj-7");
    expect(await Promise.all([retry(), retry()])).to.deep.equal(["done", "not_dead"]);
  });

  it("says that Redis is away, and has the page try again", async () => {
    const http = await start();
    expect((await http.get("/api/status")).status).to.equal(200);
    server.pause();
    const [page, answer] = await Promise.all([http.get("/"), http.get("/api/status")]);
    server.resume();
    expect([page.status, answer.status, answer.data.error]).to.deep.equal([503, 503, "redis_unavailable"]);
    expect(page.data).to.contain("Redis does not answer").and.contain('http-equiv="refresh"');
  });

  it("says to the asker what is wrong with an address, and nothing to the log", async () => {
    const told: string[] = [];
    const http = await start({
      isReadOnly: false,
      logger: { ...silent, error: (message) => told.push(message) },
    });
    const ill = ["plans/%zz", "workflow-jobs/%E0%A4%A"].map((path) => http.get(`/api/${path}`));
    for (const { status, data } of await Promise.all([...ill, http.post("/api/dead/%zz/retry")])) {
      expect([status, data.error]).to.deep.equal([400, "bad_request"]);
      expect(data.why).to.match(/^Failed to decode param '%/);
    }
    const page = await http.get("/workflow-jobs/%3Cb%3E%zz");
    expect([page.status, told]).to.deep.equal([400, []]);
    expect(page.data).to.contain("This can&#39;t be read").and.not.contain("<b>");
    expect((await http.post("/dead/%zz/retry")).status).to.equal(400);
  });

  it("lists as many as it is asked for, and refuses what is no number of them", async () => {
    const http = await start();
    for (const id of [1, 2, 3]) await ledger.recordQueued(aDemand(id));
    const list = (limit: string) => http.get(`/api/workflow-jobs?limit=${limit}`);
    for (const limit of ["2", "007", "501"])
      expect((await list(limit)).data.workflowJobs, limit).to.have.length(limit === "2" ? 2 : 3);
    for (const limit of ["-1", "0", "abc", "1.5", "", "1&limit=2", "1e3", "9".repeat(400)]) {
      const { status, data } = await list(limit);
      expect([status, data.error], limit).to.deep.equal([400, "bad_request"]);
      expect(data.why).to.equal("limit must be a whole number, 1 or more");
    }
    for (const wrong of ["limit=-1", "skip=-1", "skip="])
      expect((await http.get(`/api/dead?${wrong}`)).status, wrong).to.equal(400);
  });

  it("lists dead letters page by page", async () => {
    const http = await start();
    for (const id of [1, 2, 3])
      await ledger.recordFailure(`wfj-${id}`, {
        ...{ at: Date.now() + id, errorClass: "x", message: "y", demand: aDemand(id) },
      });
    const { data } = await http.get("/api/dead?limit=1&skip=1");
    expect([data.dead.map(({ key }: { key: string }) => key), data.count]).to.deep.equal([["wfj-2"], 3]);
  });

  it("dismisses a dead letter by its button", async () => {
    const http = await start({ isReadOnly: false });
    await ledger.recordFailure("wfj-7", { at: 1, errorClass: "x", message: "y", demand: aDemand(7) });
    const pressed = await http.post("/dead/wfj-7/dismiss", "", {
      // As Chromium does where a page's policy hides its address.
      headers: { Origin: "null", "Sec-Fetch-Site": "same-origin" },
    });
    expect([pressed.status, pressed.headers.location]).to.deep.equal([303, "/dead"]);
    expect((await http.get("/api/status")).data.dead).to.equal(0);
  });

  it("gives plans by their key", async () => {
    const http = await start();
    expect((await http.get("/api/plans/dry-1")).status).to.equal(404);
    await ledger.recordPlan("dry-1", { key: "dry-1" });
    expect((await http.get("/api/plans/dry-1")).data).to.deep.equal({ key: "dry-1" });
  });

  const failedIn = async (provider: string) =>
    (await producer.counts()).find((row) => row.provider === provider && row.state === "failed")?.count;
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 5_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error("not in time");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
