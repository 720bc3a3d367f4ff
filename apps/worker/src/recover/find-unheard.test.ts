import { demandKey, RateLimitedError, TransientError } from "@grp/core";
import { createGitHub, type GitHub } from "@grp/github";
import { expect } from "chai";
import { createGitHubStandIn, type GitHubStandIn } from "../../../../packages/sandbox/src/github/index.ts";
import type { WorkerContext } from "../context.ts";
import { type Harness, startHarness } from "../testing/harness.ts";
import { findUnheard } from "./find-unheard.ts";
import { createRepositoryLister } from "./repositories.ts";

const HOME = { owner: "acme", repository: "app", labels: ["linux"] };
const MINUTE = 60_000;
const { signal } = new AbortController();

describe("findUnheard", () => {
  let test: Awaited<ReturnType<typeof startHarness>>;
  let harness: Harness;
  let standIn: GitHubStandIn;
  let context: WorkerContext;
  before(async () => {
    test = await startHarness();
  });
  after(() => test.stop());
  beforeEach(async () => {
    harness = await test.create();
    harness.clock.now = Date.now();
    standIn = await createGitHubStandIn({ now: () => harness.clock.now });
    context = contextWith({});
  });
  afterEach(async () => {
    await standIn.close();
    expect(standIn.violations).to.deep.equal([]);
  });

  function contextWith(github: Partial<GitHub>): WorkerContext {
    const auth = { kind: "apps", apps: standIn.apps } as const;
    const real = createGitHub({ auth, baseUrl: standIn.url, now: () => harness.clock.now });
    return harness.with({ github: { ...real, ...github } });
  }

  const search = (by = context) => findUnheard(by, createRepositoryLister(by), signal);
  const listed = (names: readonly string[]) => ({
    repositories: names.map((repository) => ({ owner: "acme", repository })),
    missed: [],
  });
  const enqueued = () => harness.producer.demands.map(({ demand }) => demand.key);

  it("takes in a workflow job that no delivery told of, and that is served like any other", async () => {
    const job = standIn.queueWorkflowJob(HOME);
    harness.clock.now += 3 * MINUTE;
    await search();
    expect(enqueued()).to.deep.equal([demandKey(job.id)]);
    expect(harness.producer.demands[0]).to.nested.include({ provider: "ec2", "demand.runnerClass": "linux" });
    const record = await harness.ledger.getWorkflowJob(demandKey(job.id));
    expect(record).to.include({ demandState: "waiting", workflowJobState: "queued" });
    expect(record?.times).to.have.property("enqueued");
    expect(record?.notes.map(({ kind }) => kind)).to.deep.equal(["unheard"]);
    expect(harness.lines.at(-1)).to.nested.include({ message: "workflow-jobs.unheard", "fields.found": 1 });
    await search();
    expect(enqueued()).to.have.length(1);
  });

  it("waits for deliveries that may only be late, and leaves alone what the ledger knows", async () => {
    const known = standIn.queueWorkflowJob(HOME);
    await harness.addDemand({ workflowJobId: known.id });
    harness.clock.now += 3 * MINUTE;
    standIn.queueWorkflowJob(HOME);
    await search();
    expect(enqueued()).to.deep.equal([]);
    expect(harness.lines).to.deep.equal([]);
  });

  it("remembers why a workflow job is none of ours, and refuses a public repository", async () => {
    const other = standIn.queueWorkflowJob({ ...HOME, labels: ["windows"] });
    const open = standIn.queueWorkflowJob({ ...HOME, repository: "open", isPrivate: false });
    const foreign = standIn.queueWorkflowJob({ ...HOME, owner: "stranger" });
    harness.clock.now += 3 * MINUTE;
    await search();
    expect(enqueued()).to.deep.equal([]);
    expect(await harness.ledger.getIgnored(other.id)).to.include({ reason: "labels" });
    expect(await harness.ledger.getIgnored(open.id)).to.include({ reason: "public-repository" });
    expect(await harness.ledger.getIgnored(foreign.id)).to.equal(null);
  });

  it("sees the first repository of an owner in the next round, and asks for a known list once an hour", async () => {
    const asked: number[] = [];
    context = contextWith({
      async listRepositories() {
        asked.push(harness.clock.now);
        return { repositories: asked.length > 2 ? [HOME] : [], missed: [] };
      },
    });
    const list = createRepositoryLister(context);
    expect(await list(signal)).to.deep.equal([]);
    expect(await list(signal)).to.deep.equal([]);
    expect(await list(signal)).to.have.length(1);
    expect(await list(signal)).to.have.length(1);
    expect(asked).to.have.length(3);
    harness.clock.now += 61 * MINUTE;
    await list(signal);
    expect(asked).to.have.length(4);
  });

  it("takes the repositories in turn, two hundred and fifty calls a round", async () => {
    const names = Array.from({ length: 300 }, (_one, index) => `r${String(index).padStart(3, "0")}`);
    const asked: string[] = [];
    const many = contextWith({
      listRepositories: async () => listed(names),
      async listQueuedWorkflowJobs({ repository }) {
        asked.push(repository);
        return { jobs: [], calls: 2 };
      },
    });
    await search(many);
    expect(asked).to.deep.equal(names.slice(0, 125));
    await search(many);
    await search(many);
    expect(asked.slice(125)).to.deep.equal([...names.slice(125), ...names.slice(0, 75)]);
  });

  it("looks into no more runs than its calls allow, and goes on behind them", async () => {
    const asked: string[] = [];
    const busy = contextWith({
      listRepositories: async () => listed(["a", "b", "c"]),
      async listQueuedWorkflowJobs({ repository, mostCalls = 0 }) {
        asked.push(`${repository} ${mostCalls}`);
        return { jobs: [], calls: Math.min(mostCalls, 200) };
      },
    });
    await search(busy);
    await search(busy);
    expect(asked).to.deep.equal(["a 250", "b 50", "c 250", "a 50"]);
  });

  it("goes on with the other accounts when GitHub wants a pause at one", async () => {
    const asked: string[] = [];
    const repositories = ["beta/x", "acme/a", "acme/b"].map((name) => {
      const [owner = "", repository = ""] = name.split("/");
      return { owner, repository };
    });
    const partly = contextWith({
      listRepositories: async () => ({ repositories, missed: [] }),
      async listQueuedWorkflowJobs({ owner, repository }) {
        asked.push(`${owner}/${repository}`);
        if (owner === "acme") throw new RateLimitedError("slow", { retryAfterMs: 9_000 });
        return { jobs: [], calls: 2 };
      },
    });
    await search(partly);
    expect(asked).to.deep.equal(["acme/a", "beta/x"]);
    expect(harness.lines.at(-1)).to.nested.include({ "fields.repositories": 1, "fields.pauseMs": 9_000 });
  });

  it("searches what the ledger has seen though GitHub wants a pause before the list", async () => {
    const job = standIn.queueWorkflowJob(HOME);
    await harness.addDemand({ workflowJobId: 1 });
    harness.clock.now += 3 * MINUTE;
    await search(
      contextWith({
        listRepositories: () => Promise.reject(new RateLimitedError("slow", { retryAfterMs: 50 * MINUTE })),
      }),
    );
    expect(enqueued()).to.deep.equal([demandKey(job.id)]);
  });

  it("keeps the list that an account had while one of the Apps can't be asked, and asks again", async () => {
    const answers = [
      { repositories: [HOME, { ...HOME, repository: "other" }], missed: [] },
      { repositories: [HOME], missed: [new TransientError("500")] },
      { repositories: [HOME], missed: [] },
    ];
    const partly = contextWith({
      listRepositories: async () => answers.shift() ?? { repositories: [], missed: [] },
    });
    const list = createRepositoryLister(partly);
    const names = async () => (await list(signal)).map(({ repository }) => repository);
    expect(await names()).to.deep.equal(["app", "other"]);
    harness.clock.now += 61 * MINUTE;
    expect(await names()).to.deep.equal(["app", "other"]);
    expect(harness.lines.at(-1)).to.nested.include({
      message: "repositories.unseen",
      "fields.error": "500",
    });
    expect(await names()).to.deep.equal(["app"]);
  });

  it("warns when nothing could be looked through for some rounds", async () => {
    const blind = contextWith({
      listRepositories: async () => listed(["a"]),
      listQueuedWorkflowJobs: () => Promise.reject(new TransientError("502")),
    });
    const warnings = async () => (await harness.ledger.listWarnings(harness.clock.now)).length;
    for (let rounds = 0; rounds < 2; rounds++) await search(blind);
    expect(await warnings()).to.equal(0);
    await search(blind);
    expect(await warnings()).to.equal(1);
    harness.clock.now += 61 * MINUTE;
    await search();
    await search(blind);
    expect(await warnings()).to.equal(0);
  });

  it("goes past a repository that fails, stops at the rate limit, and begins there the next time", async () => {
    const asked: string[] = [];
    let isLimited = true;
    const partly = contextWith({
      listRepositories: async () => listed(["a", "b", "c"]),
      async listQueuedWorkflowJobs({ repository }) {
        asked.push(repository);
        if (repository === "a") throw new TransientError("502");
        if (repository === "c" && isLimited) throw new RateLimitedError("slow", { retryAfterMs: 9_000 });
        return { jobs: [], calls: 2 };
      },
    });
    await search(partly);
    expect(asked).to.deep.equal(["a", "b", "c"]);
    expect(harness.lines.at(-1)).to.nested.include({
      level: "warn",
      "fields.errors": 1,
      "fields.pauseMs": 9_000,
    });
    isLimited = false;
    await search(partly);
    expect(asked.slice(3)).to.deep.equal(["c", "a", "b"]);
  });

  it("searches what the ledger has seen though an owner's list is refused", async () => {
    const job = standIn.queueWorkflowJob(HOME);
    await harness.addDemand({ workflowJobId: 1 });
    harness.clock.now += 3 * MINUTE;
    const refused = contextWith({
      listRepositories: async () => {
        throw new TransientError("no list");
      },
    });
    await search(refused);
    expect(enqueued()).to.deep.equal([demandKey(job.id)]);
    expect(harness.lines[0]).to.nested.include({ message: "repositories.unseen", "fields.owner": "acme" });
  });

  it("takes in the others when one workflow job can't be", async () => {
    const jobs = [
      standIn.queueWorkflowJob(HOME),
      standIn.queueWorkflowJob(HOME),
      standIn.queueWorkflowJob(HOME),
    ];
    harness.clock.now += 3 * MINUTE;
    harness.producer.failNext(new Error("Redis refused"));
    await search();
    expect(enqueued()).to.have.length(2);
    expect(jobs.map(({ id }) => demandKey(id))).to.include.members(enqueued());
    expect(harness.lines.at(-1)).to.nested.include({
      level: "warn",
      "fields.found": 2,
      "fields.errors": 1,
      "fields.lastError": "acme/app: Redis refused",
    });
  });
});
