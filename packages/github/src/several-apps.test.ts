import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type RateLimitedError, type Scope, UnauthorizedError } from "@grp/core";
import { expect } from "chai";
import { startRedis, type TestRedis } from "../../../test/support/redis.ts";
import { createBudget } from "../../ledger/src/index.ts";
import { closeRedis, createRedis } from "../../runtime/src/index.ts";
import {
  createGitHubStandIn,
  type GitHubStandIn,
  type GitHubStandInOptions,
} from "../../sandbox/src/github/index.ts";
import { createGitHub, type GitHubOptions } from "./github.ts";
import { GITHUB_LIMITS, limitsOf } from "./limits.ts";
import type { AppRefusal } from "./refusals.ts";
import { scriptFetch } from "./testing/scripted-fetch.ts";

const SCOPE: Scope = { kind: "repository", owner: "acme", repository: "app" };
const [FIRST, SECOND] = [4_242, 4_243];
const { signal } = new AbortController();
const MINUTE = 60_000;
/** As published: out of reach. */
const REGISTRATIONS = { most: 1_500, window: 5 * MINUTE };

async function failureOf(work: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  throw new Error("did not fail");
}

describe("several GitHub Apps", () => {
  let standIn: GitHubStandIn;
  let now: number;
  let refused: AppRefusal[];
  let minted: number;
  beforeEach(() => {
    [now, refused, minted] = [Date.now(), [], 0];
  });
  afterEach(async () => {
    await standIn.close();
    expect(standIn.violations).to.deep.equal([]);
  });

  async function connect(options: Partial<GitHubOptions> = {}, limits?: GitHubStandInOptions["limits"]) {
    standIn = await createGitHubStandIn({ apps: 2, now: () => now, ...(limits && { limits }) });
    const { apps, url: baseUrl } = standIn;
    const onRefused = (refusal: AppRefusal) => void refused.push(refusal);
    return createGitHub({ auth: { kind: "apps", apps }, baseUrl, now: () => now, onRefused, ...options });
  }
  type GitHub = Awaited<ReturnType<typeof connect>>;
  const mint = (github: GitHub, repository = "app") => {
    const scope = { ...SCOPE, repository };
    return github.mintRegistration({ scope, name: `grp-${++minted}`, labels: ["x"] }, signal);
  };
  /** Who minted them, in order. */
  const minters = () =>
    standIn.calls
      .filter(({ route, status }) => route.includes("generate-jitconfig") && status === 201)
      .map(({ caller }) => Number(caller.slice(-4)));

  describe("with a budget", () => {
    let server: TestRedis;
    let redis: ReturnType<typeof createRedis>;
    before(async () => {
      server = await startRedis();
      redis = createRedis(server.url, { name: "test", onError: () => undefined });
      await once(redis, "ready");
    });
    beforeEach(async () => void (await redis.flushall()));
    after(async () => {
      await closeRedis(redis);
      await server.stop();
    });

    it("register together what each may, and tell who must wait for the first of them", async () => {
      const budget = createBudget({ redis, now: () => now });
      const options = {
        budget,
        limits: { points: 15, window: MINUTE, concurrent: 9, registrations: REGISTRATIONS },
      };
      const github = await connect(options, { points: 15, windowMs: MINUTE, concurrent: 9 });
      for (let count = 0; count < 6; count++, now += 1_000) await mint(github);
      const late = (await failureOf(mint(github))) as RateLimitedError;
      expect(late).to.include({ code: "in_line", retryAfterMs: 54_000 });
      expect(minters().toSorted()).to.deep.equal([FIRST, FIRST, FIRST, SECOND, SECOND, SECOND]);
      expect(standIn.refused()).to.equal(0);
      now += 54_000;
      await mint(github);
    });

    it("register together no more than one repository takes, and at another one goes on", async () => {
      const budget = createBudget({ redis, now: () => now });
      const registrations = { most: 4, window: 5 * MINUTE };
      const limits = { points: 900, window: MINUTE, concurrent: 9, registrations };
      const github = await connect({ budget, limits });
      for (let count = 0; count < 4; count++, now += 1_000) await mint(github);
      const late = (await failureOf(mint(github))) as RateLimitedError;
      expect(late).to.include({ code: "in_line", isShared: true, retryAfterMs: 296_000 });
      await github.listRunners(SCOPE, signal);
      const order = { scope: { ...SCOPE, repository: "other" }, name: "grp-other-0", labels: ["x"] };
      await github.mintRegistration(order, signal);
      now += 296_000;
      await mint(github);
    });

    it("stand in line while GitHub wants a pause that this process heard of itself, and are told their turns", async () => {
      const budget = createBudget({ redis, now: () => now });
      const limits = { points: 22, window: MINUTE, concurrent: 9, registrations: REGISTRATIONS };
      const github = await connect({ budget, limits });
      for (const seconds of [30, 40]) standIn.rateLimitNext("secondary", seconds, "/actions/runners");
      expect(await failureOf(github.listRunners(SCOPE, signal))).to.include({ code: "rate_limited" });
      const { length: asked } = standIn.calls;
      const claim = async (order: number) => {
        const turn = { member: `m${order}`, order, patienceMs: 30_000 };
        const claimed = github.mintRegistration(
          { scope: SCOPE, name: `m${order}`, labels: ["x"], turn },
          signal,
        );
        return (await failureOf(claimed)) as RateLimitedError;
      };
      const waits: number[] = [];
      for (let order = 1; order <= 7; order++) {
        const { code, retryAfterMs } = await claim(order);
        expect(code).to.equal("in_line");
        waits.push(retryAfterMs);
      }
      // Half of each App's points, less one that is spent: two registrations, and two a minute later.
      expect(waits).to.deep.equal([30_000, 30_000, 40_000, 40_000, 90_000, 90_000, 100_000]);
      expect(standIn.calls).to.have.length(asked);
    });

    /** As two processes, with so many of them. */
    async function connectTwice(apps: number, limits?: GitHubStandInOptions["limits"]) {
      const budget = () => createBudget({ redis, now: () => now });
      await connect({ budget: budget() }, limits);
      const [first, ...others] = standIn.apps;
      const auth = {
        kind: "apps",
        apps: [first as (typeof others)[0], ...others.slice(0, apps - 1)],
      } as const;
      const one = () => createGitHub({ auth, baseUrl: standIn.url, now: () => now, budget: budget() });
      return [one(), one()] as const;
    }

    it("register elsewhere when one repository takes no more runners from any of them", async () => {
      const registrations = { most: 2, windowMs: 5 * MINUTE };
      const limits = { points: 900, windowMs: MINUTE, concurrent: 9, registrations };
      const [github, another] = await connectTwice(2, limits);
      for (let count = 0; count < 2; count++) await mint(github);
      const refused = { code: "rate_limited", retryAfterMs: 5 * MINUTE };
      expect(await failureOf(mint(github))).to.include(refused);
      for (const side of [github, another]) {
        expect(await failureOf(mint(side))).to.include({ ...refused, code: "in_line" });
        await mint(side, "other");
      }
      expect(standIn.refused()).to.equal(2);
      now += 5 * MINUTE;
      await mint(github);
    });

    it("register elsewhere when one is refused at a repository and the other can't be asked soon", async () => {
      const [github, another] = await connectTwice(2);
      const { points } = limitsOf({ credential: `app-${SECOND}:acme` }, GITHUB_LIMITS);
      const spent = createBudget({ redis, now: () => now });
      await spent.spend({ ways: [[{ limit: points, cost: points.most }]] });
      standIn.rateLimitNext("secondary", 30, "generate-jitconfig");
      const refused = { code: "rate_limited", retryAfterMs: 30_000 };
      expect(await failureOf(mint(github))).to.include(refused);
      for (const side of [github, another]) {
        expect(await failureOf(mint(side))).to.include({ ...refused, code: "in_line" });
        await mint(side, "other");
      }
      expect(minters()).to.deep.equal([FIRST, FIRST]);
    });

    it("stop everywhere, where there is but one, for as long as GitHub wants", async () => {
      const [github, another] = await connectTwice(1);
      standIn.rateLimitNext("secondary", 30, "generate-jitconfig");
      expect(await failureOf(mint(github))).to.include({ code: "rate_limited" });
      for (const side of [github, another])
        expect(await failureOf(mint(side, "other"))).to.include({ code: "in_line", retryAfterMs: 30_000 });
      now += 30_000;
      await mint(github, "other");
    });

    it("stop, where there is but one, when GitHub says that nothing is left of its hour", async () => {
      const [github] = await connectTwice(1);
      standIn.rateLimitNext("primary", 600, "generate-jitconfig");
      expect(await failureOf(mint(github))).to.include({ code: "rate_limited" });
      expect(await failureOf(mint(github, "other"))).to.include({ code: "in_line" });
    });

    it("leave the one alone that GitHub slowed down, also in another process, and ask less of it then", async () => {
      const limits = { points: 60, window: MINUTE, concurrent: 9, registrations: REGISTRATIONS };
      const budget = () => createBudget({ redis, now: () => now });
      const github = await connect({ budget: budget(), limits });
      standIn.rateLimitNext("secondary", 30, "generate-jitconfig");
      await mint(github);
      const [server] = minters();
      const { apps, url: baseUrl } = standIn;
      const auth = { kind: "apps", apps } as const;
      const another = createGitHub({ auth, baseUrl, now: () => now, budget: budget(), limits });
      for (let count = 0; count < 4; count++) await mint(another);
      expect(new Set(minters())).to.deep.equal(new Set([server]));
      now += 30_000;
      for (let count = 0; count < 4; count++) await mint(another);
      expect(minters().filter((one) => one === server)).to.have.length(8);
      expect(minters()).to.have.length(9);
    });
  });

  it("go on without the one that is rate-limited, and wait when both are", async () => {
    const github = await connect();
    standIn.rateLimitNext("primary", 600, "generate-jitconfig");
    for (let count = 0; count < 3; count++) await mint(github);
    expect(new Set(minters())).to.have.length(1);
    standIn.rateLimitNext("secondary", 30, "generate-jitconfig");
    const both = (await failureOf(mint(github))) as RateLimitedError;
    expect(both).to.include({ code: "rate_limited", retryAfterMs: 30_000 });
    expect(refused).to.deep.equal([]);
  });

  for (const [state, code] of [
    ["suspended", "app_suspended"],
    ["uninstalled", "app_not_installed"],
    ["deleted", "401"],
  ] as const)
    it(`go on without the one that is ${state}, tell it, and take it in again when it is back`, async () => {
      const github = await connect();
      standIn.setApp(FIRST, state);
      for (let count = 0; count < 3; count++) await mint(github);
      expect(minters()).to.deep.equal([SECOND, SECOND, SECOND]);
      expect(refused.map(({ app, code }) => ({ app, code }))).to.deep.equal([
        { app: `GitHub App ${FIRST}`, code },
      ]);
      standIn.setApp(FIRST, "installed");
      standIn.setApp(SECOND, "suspended");
      now += 5 * MINUTE;
      await mint(github);
      expect(minters().at(-1)).to.equal(FIRST);
    });

  it("go on when one is suspended in the middle of the work", async () => {
    const github = await connect();
    await mint(github);
    const [server = 0] = minters();
    standIn.setApp(server, "suspended");
    for (let count = 0; count < 2; count++) await mint(github);
    expect(minters().slice(1)).to.have.members(Array(2).fill(FIRST + SECOND - server));
    expect(refused).to.have.length(1);
    expect(refused[0]).to.include({ app: `GitHub App ${server}`, code: "403" });
  });

  it("say why when none may", async () => {
    const github = await connect();
    standIn.setApp(FIRST, "uninstalled");
    standIn.setApp(SECOND, "uninstalled");
    const nowhere = await failureOf(mint(github));
    expect(nowhere).to.be.instanceOf(UnauthorizedError);
    expect(nowhere.message).to.equal(
      "GitHub App 4242 is not installed on acme/app; GitHub App 4243 is not installed on acme/app",
    );
    standIn.setApp(SECOND, "suspended");
    expect((await failureOf(mint(github))).message).to.equal("GitHub App 4243 is suspended on acme/app");
  });

  it("are each asked whether a registration would be allowed", async () => {
    const github = await connect();
    expect(await github.checkRegistration(SCOPE, signal)).to.deep.equal([]);
    const asked = standIn.calls.filter(({ route }) => route.endsWith("remove-token"));
    expect(asked).to.have.length(2);
    standIn.setApp(SECOND, "suspended");
    const [reservation] = await github.checkRegistration(SCOPE, signal);
    expect(reservation).to.match(/remove-token.*has been suspended/);
    standIn.setApp(FIRST, "suspended");
    expect(await failureOf(github.checkRegistration(SCOPE, signal))).to.be.instanceOf(UnauthorizedError);
  });

  it("have hooks of their own, and what either could not deliver is sent again", async () => {
    const github = await connect();
    const [ingress, url] = await listen();
    for (const appId of [FIRST, SECOND])
      await standIn.addHook({ url, secret: "s", place: { kind: "app", appId } });
    standIn.dropNext(2);
    standIn.queueWorkflowJob({ owner: "acme", repository: "app", labels: ["x"] });
    await standIn.until(() => standIn.deliveries.every(({ status }) => status !== "pending"), "the drops");
    const find = async () => {
      const asked = github.appIds.map((appId) => github.findHooks({ kind: "app", appId }, url, signal));
      return (await Promise.allSettled(asked)).flatMap((one) =>
        one.status === "fulfilled" ? one.value : [],
      );
    };
    const hooks = await find();
    expect(hooks).to.deep.equal([FIRST, SECOND].map((appId) => ({ kind: "app", appId: String(appId) })));
    for (const hook of hooks) {
      const { failed } = await github.listFailedDeliveries(hook, { sinceMs: 0 }, signal);
      expect(failed).to.have.length(1);
      await github.redeliver(hook, failed[0]?.id ?? "", signal);
    }
    const again = () =>
      standIn.deliveries.filter(({ isRedelivery, status }) => isRedelivery && status === "OK");
    await standIn.until(() => again().length === 2, "both redeliveries");
    standIn.setApp(FIRST, "deleted");
    expect(await find()).to.deep.equal([{ kind: "app", appId: String(SECOND) }]);
    ingress.close();
  });

  it("give the repositories of those who can be asked, and say why another could not", async () => {
    const github = await connect();
    standIn.queueWorkflowJob({ owner: "acme", repository: "app", labels: ["x"] });
    standIn.failNext(500, "/installation/repositories");
    const partly = await github.listRepositories("acme", signal);
    expect(partly.repositories).to.deep.equal([{ owner: "acme", repository: "app" }]);
    expect(partly.missed.map(({ message }) => message.slice(0, 19))).to.deep.equal(["GitHub answered 500"]);
    standIn.setApp(FIRST, "uninstalled");
    expect(await github.listRepositories("acme", signal)).to.deep.equal({ ...partly, missed: [] });
    standIn.failNext(500, "/installation/repositories");
    expect(await failureOf(github.listRepositories("acme", signal))).to.include({ code: "500" });
  });

  it("are asked where the other is installed no more, before anything counts as gone", async () => {
    const github = await connect();
    const { apps } = standIn;
    let isInstalled = true;
    const token = (id: number) => ({
      status: 201,
      body: { token: `ghs_${id}_x`, expires_at: new Date(now + 60 * MINUTE).toISOString(), permissions: {} },
    });
    const job = {
      id: 1,
      run_id: 5,
      status: "queued",
      conclusion: null,
      labels: [],
      created_at: "2026-01-01",
    };
    const isFirst = (authorization: string) => {
      const [, body = ""] = authorization.split(".");
      return JSON.parse(Buffer.from(body, "base64url").toString()).iss === FIRST;
    };
    const { fetch } = scriptFetch({
      "GET /repos/acme/app/installation": ({ authorization }) =>
        isFirst(authorization)
          ? isInstalled
            ? { body: { id: 101 } }
            : { status: 404, body: { message: "Not Found" } }
          : { body: { id: 102 } },
      "POST /app/installations/101/access_tokens": token(101),
      "POST /app/installations/102/access_tokens": token(102),
      "GET /repos/acme/app/actions/jobs/1": ({ authorization }) =>
        isInstalled || authorization.includes("ghs_102")
          ? { body: job }
          : { status: 404, body: { message: "Not Found" } },
    });
    const baseUrl = "https://api.github.com";
    const scripted = createGitHub({ auth: { kind: "apps", apps }, baseUrl, fetch, now: () => now });
    const ask = () => scripted.getWorkflowJob({ owner: "acme", repository: "app", workflowJobId: 1 }, signal);
    expect((await ask())?.id).to.equal(1);
    isInstalled = false;
    now += MINUTE;
    expect((await ask())?.id).to.equal(1);
    expect(
      await github.getWorkflowJob({ owner: "acme", repository: "app", workflowJobId: 1 }, signal),
    ).to.equal(null);
  });
});

async function listen(): Promise<readonly [Server, string]> {
  const server = createServer((request, response) => {
    request.resume();
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return [server, `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhook`];
}
