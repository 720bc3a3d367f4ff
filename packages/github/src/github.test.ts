import { generateKeyPairSync } from "node:crypto";
import { InvalidSpecError, type Scope, TransientError, UnauthorizedError } from "@grp/core";
import { expect } from "chai";
import { createGitHub } from "./github.ts";
import { scriptFetch } from "./testing/scripted-fetch.ts";

const REPOSITORY: Scope = { kind: "repository", owner: "acme", repository: "app" };
const ORGANIZATION: Scope = { kind: "organization", owner: "acme", runnerGroup: "Builders" };
const RUNNERS = "/repos/acme/app/actions/runners";
const MINT = `POST ${RUNNERS}/generate-jitconfig`;
const ORDER = { scope: REPOSITORY, name: "grp-1-0", labels: ["ubuntu-arm64"] };
const minted = (id: number) => ({ status: 201, body: { runner: { id }, encoded_jit_config: "c2VjcmV0" } });
const conflict = {
  status: 409,
  body: { message: "Already exists - A runner with the name grp-1-0 already exists." },
};
const runner = (id: number, busy = false) => ({
  id,
  name: "grp-1-0",
  os: "linux",
  status: "offline",
  busy,
  labels: [],
});
const { signal } = new AbortController();

function connect(script: Parameters<typeof scriptFetch>[0], now?: () => number) {
  const { fetch, calls } = scriptFetch(script);
  const auth = { kind: "pat", token: "ghp_secret" } as const;
  const github = createGitHub({ auth, baseUrl: "https://api.github.com", fetch, ...(now && { now }) });
  return { github, calls, routes: () => calls.map((call) => call.route) };
}

async function failureOf(work: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  throw new Error("did not fail");
}

describe("mintRegistration", () => {
  it("registers at a repository with its default group", async () => {
    const { github, calls } = connect({ [MINT]: minted(7) });
    const registration = await github.mintRegistration(ORDER, signal);
    expect(registration).to.deep.equal({ runnerId: 7, encodedJitConfig: "c2VjcmV0" });
    expect(calls[0]?.body).to.deep.equal({ name: "grp-1-0", labels: ["ubuntu-arm64"], runner_group_id: 1 });
  });

  it("deletes the idle runner that its lost answer left behind, and mints again", async () => {
    const { github, routes } = connect({
      [MINT]: [conflict, minted(8)],
      [`GET ${RUNNERS}`]: { body: { total_count: 1, runners: [runner(7)] } },
      [`DELETE ${RUNNERS}/7`]: { status: 204 },
    });
    expect((await github.mintRegistration(ORDER, signal)).runnerId).to.equal(8);
    expect(routes()).to.deep.equal([MINT, `GET ${RUNNERS}`, `DELETE ${RUNNERS}/7`, MINT]);
  });

  it("leaves a runner of that name alone when its caller has given up: it may be another's", async () => {
    const caller = new AbortController();
    const { github, routes } = connect({
      [MINT]: () => {
        caller.abort();
        return conflict;
      },
    });
    const error = await failureOf(github.mintRegistration(ORDER, caller.signal));
    expect(error.code).to.equal("409");
    expect(routes()).to.deep.equal([MINT]);
  });

  it("leaves a busy runner of that name alone", async () => {
    const { github, routes } = connect({
      [MINT]: conflict,
      [`GET ${RUNNERS}`]: { body: { total_count: 1, runners: [runner(7, true)] } },
    });
    const error = await failureOf(github.mintRegistration(ORDER, signal));
    expect(error).to.be.instanceOf(TransientError);
    expect(error.code).to.equal("runner_busy");
    expect(routes()).to.have.length(2);
  });

  it("does not repeat a request whose answer was lost: the caller decides", async () => {
    const { github, calls } = connect({ [MINT]: new TypeError("fetch failed") });
    expect(await failureOf(github.mintRegistration(ORDER, signal))).to.be.instanceOf(TransientError);
    expect(calls).to.have.length(1);
  });

  it("finds an organization's runner group by name, once an hour", async () => {
    let at = 0;
    const groups = { body: { total_count: 1, runner_groups: [{ id: 42, name: "builders" }] } };
    const { github, calls } = connect(
      {
        "GET /orgs/acme/actions/runner-groups": groups,
        "POST /orgs/acme/actions/runners/generate-jitconfig": minted(9),
      },
      () => at,
    );
    const order = { ...ORDER, scope: ORGANIZATION };
    await github.mintRegistration(order, signal);
    await github.mintRegistration(order, signal);
    at += 3_600_001;
    await github.mintRegistration(order, signal);
    expect(calls.filter((call) => call.route.includes("groups"))).to.have.length(2);
    expect(calls[1]?.body).to.have.property("runner_group_id", 42);
  });

  it("calls an unknown runner group a configuration fault", async () => {
    const groups = { body: { total_count: 0, runner_groups: [] } };
    const { github } = connect({ "GET /orgs/acme/actions/runner-groups": groups });
    const error = await failureOf(github.mintRegistration({ ...ORDER, scope: ORGANIZATION }, signal));
    expect(error).to.be.instanceOf(InvalidSpecError);
  });
});

describe("runners", () => {
  it("lists every page", async () => {
    const link = { link: '<https://api.github.com/repos/acme/app/actions/runners?page=2>; rel="next"' };
    const { github } = connect({
      [`GET ${RUNNERS}`]: [
        { body: { total_count: 2, runners: [runner(1)] }, headers: link },
        { body: { total_count: 2, runners: [runner(2)] } },
      ],
    });
    const ids = (await github.listRunners(REPOSITORY, signal)).map(({ runnerId }) => runnerId);
    expect(ids).to.deep.equal([1, 2]);
  });

  it("ends a listing with its caller", async () => {
    const caller = new AbortController();
    caller.abort();
    const { github } = connect({ [`GET ${RUNNERS}`]: { body: { total_count: 0, runners: [] } } });
    expect((await failureOf(github.listRunners(REPOSITORY, caller.signal))).code).to.equal("aborted");
  });

  it("tells deregistered, gone and busy apart", async () => {
    const { github } = connect({
      [`DELETE ${RUNNERS}/1`]: { status: 204 },
      [`DELETE ${RUNNERS}/3`]: { status: 422, body: { message: "Runner is busy" } },
    });
    const outcomes = await Promise.all([1, 2, 3].map((id) => github.deregister(REPOSITORY, id, signal)));
    expect(outcomes).to.deep.equal(["deregistered", "gone", "busy"]);
  });

  it("proves the permission without a registration", async () => {
    const { github, routes } = connect({ [`POST ${RUNNERS}/remove-token`]: { status: 201, body: {} } });
    await github.checkRegistration(REPOSITORY, signal);
    expect(routes()).to.deep.equal([`POST ${RUNNERS}/remove-token`]);
    const refused = connect({ [`POST ${RUNNERS}/remove-token`]: { status: 403, body: { message: "no" } } });
    expect(await failureOf(refused.github.checkRegistration(REPOSITORY, signal))).to.be.instanceOf(
      UnauthorizedError,
    );
  });
});

describe("runnerProgram", () => {
  const download = {
    os: "osx",
    architecture: "arm64",
    download_url: "https://example.com/r.tar.gz",
    filename: "actions-runner-osx-arm64-2.337.0.tar.gz",
    sha256_checksum: "abc",
  };

  it("is asked for once an hour, and knows GitHub's name for macOS", async () => {
    const { github, calls } = connect({ [`GET ${RUNNERS}/downloads`]: { body: [download] } });
    const platform = { os: "macos", arch: "arm64" } as const;
    await github.runnerProgram(REPOSITORY, platform, signal);
    const program = await github.runnerProgram(REPOSITORY, platform, signal);
    expect(program).to.deep.equal({
      url: download.download_url,
      sha256: "abc",
      filename: download.filename,
      version: "2.337.0",
    });
    expect(calls).to.have.length(1);
  });

  it("knows the newest version by its numbers, and what the cloud asks for at least", async () => {
    const files = ["2.99.0", "2.337.0", "2.337.0-preview"].map(
      (version) => `actions-runner-osx-arm64-${version}.zip`,
    );
    const body = files.map((filename) => ({ ...download, filename }));
    const { github, calls } = connect({ [`GET ${RUNNERS}/downloads`]: { body } });
    await github.runnerProgram(REPOSITORY, { os: "macos", arch: "arm64" }, signal);
    expect(await github.runnerVersions(REPOSITORY, signal)).to.deep.equal({
      newest: "2.337.0",
      least: "2.329.0",
    });
    expect(calls).to.have.length(1);
  });

  it("knows no least version of a server of one's own", async () => {
    const { fetch } = scriptFetch({ [`GET /api/v3${RUNNERS}/downloads`]: { body: [download] } });
    const baseUrl = "https://ghes.example.com/api/v3";
    const github = createGitHub({ auth: { kind: "pat", token: "t" }, baseUrl, fetch });
    expect(await github.runnerVersions(REPOSITORY, signal)).to.deep.equal({ newest: "2.337.0" });
  });

  it("refuses a program that can't be verified", async () => {
    const { sha256_checksum: _, ...unverifiable } = download;
    const { github } = connect({ [`GET ${RUNNERS}/downloads`]: { body: [unverifiable] } });
    const failure = failureOf(github.runnerProgram(REPOSITORY, { os: "macos", arch: "arm64" }, signal));
    expect(await failure).to.be.instanceOf(InvalidSpecError);
  });
});

describe("workflow jobs", () => {
  const job = (id: number, status: string) => ({
    id,
    run_id: 5,
    status,
    conclusion: null,
    labels: ["x"],
    runner_name: "",
    created_at: "2026-01-01T00:00:00Z",
  });

  it("finds queued jobs in queued and running runs, each run once", async () => {
    const { github, calls } = connect({
      "GET /repos/acme/app/actions/runs": [
        { body: { total_count: 1, workflow_runs: [{ id: 5, repository: { private: true } }] } },
        { body: { total_count: 1, workflow_runs: [{ id: 5, repository: { private: true } }] } },
      ],
      "GET /repos/acme/app/actions/runs/5/jobs": {
        body: { total_count: 2, jobs: [job(1, "queued"), job(2, "in_progress")] },
      },
    });
    const { jobs } = await github.listQueuedWorkflowJobs({ owner: "acme", repository: "app" }, signal);
    expect(jobs.map(({ id, isPrivate }) => ({ id, isPrivate }))).to.deep.equal([{ id: 1, isPrivate: true }]);
    expect(calls.map((call) => call.query.status)).to.deep.equal(["queued", "in_progress", undefined]);
  });

  it("makes no more calls than asked, for the queued runs first", async () => {
    const runs = (from: number) => ({
      body: { total_count: 5, workflow_runs: [0, 1, 2, 3, 4].map((index) => ({ id: from + index })) },
    });
    const none = { body: { total_count: 0, jobs: [] } };
    const { github, calls } = connect({
      "GET /repos/acme/app/actions/runs": [runs(10), runs(20)],
      ...Object.fromEntries(
        [10, 11, 12, 13, 14, 20, 21, 22, 23, 24].map((id) => [
          `GET /repos/acme/app/actions/runs/${id}/jobs`,
          none,
        ]),
      ),
    });
    const order = { owner: "acme", repository: "app", mostCalls: 9 };
    expect((await github.listQueuedWorkflowJobs(order, signal)).calls).to.equal(9);
    const asked = calls.map(({ route }) => Number(route.split("/").at(-2))).filter(Boolean);
    expect(asked.filter((id) => id < 20)).to.have.members([10, 11, 12, 13, 14]);
    expect(asked.filter((id) => id >= 20)).to.have.length(2);
  });

  it("believes that a job is gone only when GitHub says so", async () => {
    const { github } = connect({ "GET /repos/acme/app/actions/jobs/2": { status: 502 } });
    const of = (workflowJobId: number) => ({ owner: "acme", repository: "app", workflowJobId });
    expect(await github.getWorkflowJob(of(1), signal)).to.equal(null);
    expect(await failureOf(github.getWorkflowJob(of(2), signal))).to.be.instanceOf(TransientError);
  });
});

describe("repositories", () => {
  const one = (login: string, name: string, archived = false) => ({ owner: { login }, name, archived });

  it("are those of the account that may still run workflows", async () => {
    const all = [one("Acme", "app"), one("other", "app"), one("acme", "old", true)];
    const { github } = connect({ "GET /user/repos": { body: all } });
    const found = await github.listRepositories("acme", signal);
    expect(found).to.deep.equal({ repositories: [{ owner: "Acme", repository: "app" }], missed: [] });
  });
});

describe("deliveries", () => {
  const delivery = (id: string, at: string) =>
    `{"id":${id},"guid":"g-${id}","delivered_at":"${at}","redelivery":false,"status":"Bad Gateway","status_code":502,"event":"workflow_job","action":"queued"}`;

  it("goes back to the given time and no further, and keeps ids beyond 2^53 whole", async () => {
    const pages = [
      delivery("9007199254740993", "2026-01-01T00:00:03Z"),
      `${delivery("2", "2026-01-01T00:00:02Z")},${delivery("1", "2025-12-31T00:00:00Z")}`,
    ];
    const requested: string[] = [];
    const fetch = async (input: string | URL | Request, init?: RequestInit) => {
      const { pathname, search } = new URL(String(input));
      requested.push(`${init?.method} ${pathname}${search}`);
      const link = '<https://api.github.com/repos/acme/app/hooks/3/deliveries?cursor=x>; rel="next"';
      const date = "Thu, 01 Jan 2026 00:00:09 GMT";
      return new Response(`[${pages.shift()}]`, {
        headers: { "content-type": "application/json", link, date },
      });
    };
    const github = createGitHub({
      auth: { kind: "pat", token: "t" },
      baseUrl: "https://api.github.com",
      fetch,
    });
    const target = { kind: "repository", owner: "acme", repository: "app", hookId: 3 } as const;
    const sinceMs = Date.UTC(2026, 0, 1);
    const first = await github.listFailedDeliveries(target, { sinceMs }, signal);
    expect(first.failed.map(({ id }) => id)).to.deep.equal(["9007199254740993"]);
    expect(first).to.include({ cursor: "x", at: Date.UTC(2026, 0, 1, 0, 0, 9), downTo: sinceMs + 3_000 });
    const second = await github.listFailedDeliveries(target, { sinceMs, cursor: "x" }, signal);
    expect(second.failed.map(({ id }) => id)).to.deep.equal(["2"]);
    expect(second).not.to.have.property("cursor");
    expect(requested).to.deep.equal([
      "GET /repos/acme/app/hooks/3/deliveries?per_page=100&status=failure",
      "GET /repos/acme/app/hooks/3/deliveries?per_page=100&status=failure&cursor=x",
    ]);
    pages.push("");
    await github.redeliver(target, "9007199254740993", signal);
    expect(requested.at(-1)).to.equal("POST /repos/acme/app/hooks/3/deliveries/9007199254740993/attempts");
  });

  it("failed where nobody answered at all, and not where the server lists what it delivered", async () => {
    const one = (id: number, status: string, code: number) => ({
      ...JSON.parse(delivery(String(id), "2026-01-01T00:00:03Z")),
      status,
      status_code: code,
    });
    const body = [
      one(4, "failed to connect to host", 0),
      one(3, "OK", 202),
      one(2, "Invalid HTTP Response: 302", 302),
      one(1, "timed out", 504),
    ];
    const { github } = connect({ "GET /orgs/acme/hooks/3/deliveries": { body } });
    const target = { kind: "organization", owner: "acme", hookId: 3 } as const;
    const { failed, at } = await github.listFailedDeliveries(target, { sinceMs: 0 }, signal);
    expect(failed.map(({ id }) => id)).to.deep.equal(["4", "1"]);
    // Without a clock of GitHub's in the answer: its newest delivery.
    expect(at).to.equal(Date.UTC(2026, 0, 1, 0, 0, 3));
  });
});

describe("as a GitHub App", () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const pem = privateKey.export({ type: "pkcs1", format: "pem" }).toString();
  const auth = { kind: "apps", apps: [{ appId: 12, privateKey: pem }] } as const;
  const token = {
    status: 201,
    body: {
      token: "ghs_12_long",
      expires_at: new Date(Date.now() + 3_600_000).toISOString(),
      permissions: {},
    },
  };

  it("finds the owner's installation and takes one token for all its calls", async () => {
    const { fetch, calls } = scriptFetch({
      "GET /api/v3/repos/acme/app/installation": { body: { id: 99 } },
      "POST /api/v3/app/installations/99/access_tokens": token,
      [`POST /api/v3${RUNNERS}/generate-jitconfig`]: minted(1),
    });
    const github = createGitHub({ auth, baseUrl: "https://ghe.example/api/v3/", fetch });
    await github.mintRegistration(ORDER, signal);
    await github.mintRegistration(ORDER, signal);
    expect(calls.map((call) => call.route.split("/").at(-1))).to.deep.equal([
      "installation",
      "access_tokens",
      "generate-jitconfig",
      "generate-jitconfig",
    ]);
    expect(calls[0]?.authorization).to.match(/^bearer eyJ/);
    expect(calls[2]?.authorization).to.equal("token ghs_12_long");
  });

  it("lists its own hook's deliveries with its JWT", async () => {
    const { fetch, calls } = scriptFetch({
      "GET /app/hook/config": { body: { url: "https://grp.example.com/webhook" } },
      "GET /app/hook/deliveries": { body: [] },
    });
    const github = createGitHub({ auth, baseUrl: "https://api.github.com", fetch });
    const app = { kind: "app", appId: "12" } as const;
    expect(github.appIds).to.deep.equal(["12"]);
    expect(await github.findHooks(app, "https://grp.example.com/webhook/", signal)).to.deep.equal([app]);
    expect(await github.findHooks(app, "https://elsewhere.example.com/", signal)).to.deep.equal([]);
    expect(await github.listFailedDeliveries(app, { sinceMs: 0 }, signal)).to.deep.equal({ failed: [] });
    expect(calls[1]?.authorization).to.match(/^bearer eyJ/);
  });

  it("lists the repositories it is installed on, of a person's account too", async () => {
    const { fetch } = scriptFetch({
      "GET /users/ada/installation": { body: { id: 7 } },
      "POST /app/installations/7/access_tokens": token,
      "GET /installation/repositories": {
        body: { total_count: 1, repositories: [{ name: "app", owner: { login: "ada" } }] },
      },
    });
    const github = createGitHub({ auth, baseUrl: "https://api.github.com", fetch });
    expect(await github.listRepositories("ada", signal)).to.deep.equal({
      repositories: [{ owner: "ada", repository: "app" }],
      missed: [],
    });
  });

  it("says where the App is not installed", async () => {
    const github = createGitHub({ auth, baseUrl: "https://api.github.com", fetch: scriptFetch({}).fetch });
    const error = await failureOf(github.mintRegistration(ORDER, signal));
    expect(error).to.be.instanceOf(UnauthorizedError);
    expect(error.message).to.equal("GitHub App 12 is not installed on acme/app");
  });
});
