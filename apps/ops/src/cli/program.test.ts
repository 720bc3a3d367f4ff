import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { CommanderError } from "commander";
import { type CliConfig, readCliConfig } from "../config.ts";
import { CliError } from "./failure.ts";
import { createProgram } from "./program.ts";

const CATALOG = `version: 1
allow: { owners: acme, repositories: [acme/app] }
codemagicTeams: { default: { maxConcurrentBuilds: 1 } }
classes:
  - name: mac
    labels: [macOS-arm64, self-hosted]
    platform: { os: macos, arch: arm64 }
    maxRunners: 1
    maxRuntime: 60m
    offerings: [{ provider: codemagic, app: "\${APP}" }]
`;

/** A plan of that class, as a worker makes it. */
const planned = (verdict: string) => ({
  ...{ key: "dry-1", repository: "acme/app", labels: [], runnerClass: "mac", registersAt: "repo:acme/app" },
  ...{ github: { verdict: "allowed" }, offerings: [{ provider: "codemagic", summary: "mini", verdict }] },
});

interface Seen {
  readonly request: IncomingMessage;
  readonly body: string;
}

describe("grp", () => {
  let dir: string;
  const servers: Server[] = [];
  before(() => {
    dir = mkdtempSync(join(tmpdir(), "grp-cli-"));
    writeFileSync(join(dir, "runners.yaml"), CATALOG);
  });
  after(() => rmSync(dir, { recursive: true }));
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  const inDir = (name: string) => join(dir, name);
  const environment = () => ({ RUNNERS_FILE: inDir("runners.yaml"), APP: "a1", WEBHOOK_TOKEN: "FAKE_TOKEN" });

  async function run(args: readonly string[], more: Record<string, string> = {}) {
    const printed: string[] = [];
    let exitCode = 0;
    const config: CliConfig = readCliConfig({ ...environment(), ...more });
    const program = createProgram(() => ({
      config,
      print: (text) => printed.push(text),
      setExitCode: (code) => {
        exitCode = code;
      },
      now: Date.now,
      sleep: () => new Promise((resolve) => setTimeout(resolve, 5)),
    }));
    const isSilent = { writeOut: () => undefined, writeErr: () => undefined };
    for (const command of [program, ...program.commands]) command.configureOutput(isSilent);
    const failed = await program.parseAsync(["node", "grp", ...args]).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (failed !== undefined && !(failed instanceof CliError || failed instanceof CommanderError))
      throw failed;
    return { output: printed.join("\n"), failed, exitCode };
  }

  /** A stand-in for ingress or ops. */
  async function serve(answer: (seen: Seen, response: ServerResponse) => void) {
    const seen: Seen[] = [];
    const server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        seen.push({ request, body });
        response.setHeader("content-type", "application/json");
        answer({ request, body }, response);
      });
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  it("says that a good catalog is good, and every fault of a bad one with its place", async () => {
    expect((await run(["validate"])).output).to.contain("good; 1 runner classes: mac");
    writeFileSync(inDir("bad.yaml"), CATALOG.replace("maxRunners: 1", "maxRunners: no").replace("60m", "9h"));
    const { failed } = await run(["validate", inDir("bad.yaml")]);
    expect(failed?.message).to.match(/bad\.yaml:8:\d+ classes\[0\]\.maxRunners/);
    expect((await run(["validate", inDir("none.yaml")])).failed?.message).to.contain("no such file");
    expect((await run(["validate", dir])).failed?.message).to.contain("is a folder");
    expect((await run(["validate", "x".repeat(5_000)])).failed?.message).to.contain(
      "can't be read (ENAMETOOLONG)",
    );
  });

  it("plans a recorded delivery without a server", async () => {
    const payload = {
      workflow_job: { id: 5, run_id: 1, labels: ["macOS-arm64"] },
      repository: { name: "app", private: true, owner: { login: "acme" } },
    };
    writeFileSync(inDir("payload.json"), JSON.stringify(payload));
    const planned = await run(["plan", inDir("payload.json")]);
    expect(planned.output).to.contain("class mac, registers at repo:acme/app");
    expect(planned.output).to.contain("1. codemagic: mac_mini_m2, app a1").and.contain("not-checked");
    const other = await run(["plan", inDir("payload.json"), "--label", "ubuntu-latest"]);
    expect([other.exitCode, other.output]).to.deep.equal([
      1,
      "plan for wfj-5: acme/app, labels [ubuntu-latest]\n  nothing would be launched: labels",
    ]);
    writeFileSync(inDir("form.txt"), new URLSearchParams({ payload: JSON.stringify(payload) }).toString());
    expect((await run(["plan", inDir("form.txt")])).exitCode).to.equal(0);
    writeFileSync(inDir("text.txt"), "hello");
    expect((await run(["plan", inDir("text.txt")])).failed?.message).to.contain("is not JSON");
    writeFileSync(inDir("push.json"), "{}");
    expect((await run(["plan", inDir("push.json")])).failed?.message).to.contain(
      "not a workflow_job payload",
    );
  });

  for (const form of [false, true])
    it(`sends a signed delivery as ${form ? "a form" : "JSON"}`, async () => {
      const ingress = await serve((_seen, response) => response.writeHead(202).end('{"outcome":"enqueued"}'));
      const args = ["send", "--to", `${ingress.url}/webhook`, "--class", "mac", "--dry-run", "--id", "42"];
      const sent = await run(form ? [...args, "--form"] : args);
      expect([sent.output, sent.exitCode]).to.deep.equal(['202 {"outcome":"enqueued"}', 0]);
      const { request, body } = ingress.seen[0] as Seen;
      expect(request.url).to.equal("/webhook?dry-run=true");
      const signature = createHmac("sha256", "FAKE_TOKEN").update(body).digest("hex");
      expect(request.headers["x-hub-signature-256"]).to.equal(`sha256=${signature}`);
      expect(request.headers["x-github-event"]).to.equal("workflow_job");
      const payload = JSON.parse(form ? (new URLSearchParams(body).get("payload") ?? "") : body);
      expect(payload.workflow_job).to.deep.include({ id: 42, labels: ["macOS-arm64"], status: "queued" });
      expect(payload.repository.full_name).to.equal("acme/app");
    });

  it("fails in words: nobody listens, refused, no secret, no such class", async () => {
    const refused = await run(["send", "--to", "http://127.0.0.1:1/webhook"]);
    expect(refused.failed?.message).to.contain("nothing listens there");
    const ingress = await serve((_seen, response) => response.writeHead(401).end('{"outcome":"rejected"}'));
    expect((await run(["send", "--to", ingress.url])).exitCode).to.equal(1);
    expect((await run(["send"], { WEBHOOK_TOKEN: "" })).failed?.message).to.contain("set WEBHOOK_TOKEN");
    expect((await run(["send", "--class", "bsd"])).failed?.message).to.contain(
      'no runner class "bsd"; there are: mac',
    );
    const ops = await serve((_seen, response) => response.writeHead(401).end('{"error":"unauthorized"}'));
    expect((await run(["status"], { OPS_URL: ops.url })).failed?.message).to.contain(
      "Set OPS_USER and OPS_PASSWORD",
    );
    expect((await run(["dead"], { OPS_URL: "http://127.0.0.1:1" })).failed?.message).to.contain("OPS_URL");
  });

  const ASK_OPS = [
    ["status"],
    ["dead"],
    ["explain", "1"],
    ["retry", "1"],
    ["dismiss", "--all"],
    ["test-runners"],
  ] as const;

  for (const body of ['{"error":"no_such_path"}', '{"error":"not_found","detail":"no GET /"}', "Not Found"])
    it(`says that the ops process is elsewhere when its address answers 404 ${body}`, async () => {
      const elsewhere = await serve((_seen, response) => response.writeHead(404).end(body));
      const settings = { OPS_URL: elsewhere.url, OPS_PASSWORD: "hunter2hunter2" };
      for (const args of ASK_OPS) {
        const { failed, output } = await run(args, settings);
        expect([failed?.name, failed?.exitCode, output], args.join(" ")).to.deep.equal(["CliError", 1, ""]);
        expect(failed?.message).to.match(/ answered 404, but not as .* Is OPS_URL the address/);
        expect(failed?.message).not.to.contain("hunter2");
      }
    });

  for (const [page, type] of [
    ["<html>Log in</html>", "text/html"],
    ['{"status":"ok"}', "application/json"],
    ['"ok"', "application/json"],
  ] as const)
    it(`takes no ${type} of somebody else for the answer of ops or ingress: ${page}`, async () => {
      const proxy = await serve((_seen, response) => response.setHeader("content-type", type).end(page));
      for (const args of [...ASK_OPS, ["send", "--label", "x", "--repository", "acme/app"]]) {
        const { failed, output } = await run(args, { OPS_URL: proxy.url, WEBHOOK_URL: proxy.url });
        expect([failed?.name, failed?.exitCode, output], args.join(" ")).to.deep.equal(["CliError", 1, ""]);
        expect(failed?.message).to.match(/ answered 200, but not as grp's (ops process|ingress) does\. Is /);
      }
    });

  it("shows no password of an address, whatever is wrong with it", async () => {
    const locked = await serve((_seen, response) => response.writeHead(401).end("Unauthorized"));
    const proxy = await serve((_seen, response) => response.end("<html>Log in</html>"));
    const send = ["send", "--label", "x", "--repository", "acme/app", "--to"];
    const fail = async (url: string, exitCode: number, ask: (address: string) => ReturnType<typeof run>) => {
      const { failed, output } = await ask(url.replace("//", "//user:p@ss:hunter2@"));
      expect([failed?.name, failed?.exitCode, output], url).to.deep.equal(["CliError", exitCode, ""]);
      expect(failed?.message, url).not.to.match(/hunter2|p@ss|user:/);
    };
    for (const url of [locked.url, proxy.url, "http://127.0.0.1:1"]) {
      await fail(url, 1, (OPS_URL) => run(["status"], { OPS_URL }));
      await fail(url, 1, (to) => run([...send, to]));
    }
    for (const url of ["ftp://127.0.0.1", "http://127.0.0.1:99999"])
      await fail(url, 2, (to) => run([...send, to]));
  });

  it("follows a runner until it is gone", async () => {
    const ingress = await serve((_seen, response) => response.writeHead(202).end('{"outcome":"enqueued"}'));
    const steps = ["received", "enqueued", "launched", "gone"];
    let asked = 0;
    const ops = await serve((_seen, response) => {
      const timeline = steps
        .slice(0, ++asked)
        .map((step, index) => ({ step, at: index, elapsedMs: index * 1_000 }));
      const step = timeline.at(-1)?.step;
      const explanation = { whereNow: "finished: success" };
      response.end(JSON.stringify({ kind: "demand", step, timeline, demandState: "waiting", explanation }));
    });
    const sent = await run(["send", "--to", ingress.url, "--wait", "--id", "42"], { OPS_URL: ops.url });
    expect(ops.seen[0]?.request.url).to.equal("/api/workflow-jobs/wfj-42");
    expect(sent.output.split("\n").map((line) => line.trim().split(/ +/)[0])).to.deep.equal([
      ...["202", "received", "enqueued", "launched", "gone", "finished:"],
    ]);
  });

  it("tests every class of the catalog on a running instance", async () => {
    const ingress = await serve((_seen, response) =>
      response.writeHead(202).end('{"outcome":"enqueued","key":"dry-1"}'),
    );
    for (const [verdict, exitCode] of [
      ["would-launch", 0],
      ["refused", 1],
    ] as const) {
      let asked = 0;
      const ops = await serve(({ request }, response) => {
        if (request.url === "/api/status") return response.end('{"queues":[]}');
        return ++asked < 3
          ? response.writeHead(404).end('{"error":"unknown"}')
          : response.end(JSON.stringify(planned(verdict)));
      });
      const tested = await run(["test-runners", "--to", ingress.url], { OPS_URL: ops.url });
      expect([tested.failed, tested.exitCode]).to.deep.equal([undefined, exitCode]);
      expect(tested.output)
        .to.contain(exitCode === 0 ? "1 of 1 runner classes" : "0 of 1")
        .and.contain(verdict);
    }
  });

  it("fails a dry run whose plan launches nothing", async () => {
    const ingress = await serve((_seen, response) => response.writeHead(202).end('{"outcome":"enqueued"}'));
    for (const [verdict, exitCode] of [
      ["would-launch", 0],
      ["refused", 1],
    ] as const) {
      const ops = await serve((_seen, response) => response.end(JSON.stringify(planned(verdict))));
      const args = ["send", "--to", ingress.url, "--dry-run", "--wait"];
      const sent = await run(args, { OPS_URL: ops.url });
      expect([sent.failed, sent.exitCode], verdict).to.deep.equal([undefined, exitCode]);
      expect(sent.output).to.contain(`1. codemagic: mini: ${verdict}`);
    }
  });

  it("makes up no repository: where the catalog names none, it asks for one before anything is sent", async () => {
    const ingress = await serve((_seen, response) => response.writeHead(200).end('{"outcome":"ignored"}'));
    const ops = await serve((_seen, response) => response.end('{"queues":[]}'));
    const own = { repositories: "    repositories: [acme/ios]\n    maxRunners", none: "    maxRunners" };
    const ask = async (catalog: keyof typeof own, ...args: string[]) => {
      const text = CATALOG.replace(", repositories: [acme/app]", "").replace("    maxRunners", own[catalog]);
      writeFileSync(inDir("unnamed.yaml"), text);
      ingress.seen.length = 0;
      const settings = { OPS_URL: ops.url, RUNNERS_FILE: inDir("unnamed.yaml"), WEBHOOK_URL: ingress.url };
      const { failed } = await run(args, settings);
      return { failed, sent: ingress.seen.map(({ body }) => JSON.parse(body).repository.full_name) };
    };
    for (const command of ["send", "test-runners"]) {
      const { failed, sent } = await ask("none", command);
      expect([failed?.exitCode, sent], command).to.deep.equal([2, []]);
      expect(failed?.message).to.match(/only owners \(acme\).* --repository owner\/name .*REPOSITORY=/);
      expect((await ask("none", command, "-r", "acme/api")).sent).to.deep.equal(["acme/api"]);
      expect((await ask("repositories", command)).sent).to.deep.equal(["acme/ios"]);
    }
    // A class that serves others alone is tested with one of those.
    expect((await ask("repositories", "test-runners", "-r", "acme/api")).sent).to.deep.equal(["acme/ios"]);
    expect((await ask("repositories", "test-runners", "-r", "ACME/ios")).sent).to.deep.equal(["ACME/ios"]);
  });

  it("sends for a repository of the class that has the labels", async () => {
    const ingress = await serve((_seen, response) => response.writeHead(202).end('{"outcome":"enqueued"}'));
    const [head, mac] = CATALOG.split("classes:\n");
    const only = (name: string) => mac?.replace("mac\n", `${name}\n    repositories: [acme/${name}]\n`);
    const linux = only("linux")?.replace("[macOS-arm64", "[linux");
    writeFileSync(inDir("two.yaml"), `${head}classes:\n${linux}${only("ios")}`);
    const settings = { RUNNERS_FILE: inDir("two.yaml"), WEBHOOK_URL: ingress.url };
    for (const label of ["macos-ARM64", "linux", "windows"])
      expect((await run(["send", "--label", label], settings)).failed).to.equal(undefined);
    const sent = ingress.seen.map(({ body }) => JSON.parse(body).repository.full_name);
    expect(sent).to.deep.equal(["acme/ios", "acme/linux", "acme/linux"]);
  });

  it("retries by key, and says when there is nothing to retry", async () => {
    const ops = await serve(({ request }, response) => {
      const isDead = request.url === "/api/dead/wfj-1/retry" && request.method === "POST";
      response
        .writeHead(isDead ? 200 : 404)
        .end(isDead ? '{"outcome":"done"}' : '{"error":"not_dead","why":"wfj-2 is no dead letter"}');
    });
    const retried = await run(["retry", "wfj-1", "wfj-2"], { OPS_URL: ops.url });
    expect(retried.output).to.equal("wfj-1: back in its queue\nwfj-2 is no dead letter");
    expect([retried.failed, retried.exitCode]).to.deep.equal([undefined, 1]);
  });

  it("retries all of a class, past a page of others, and goes on when one can't be", async () => {
    const classes = ["mac", "mac", "mac", "linux", "linux", "mac"];
    let dead = classes.map((runnerClass, index) => ({ key: `wfj-${index + 1}`, demand: { runnerClass } }));
    const ops = await serve(({ request }, response) => {
      if (request.method === "GET") {
        const skip = Number(new URL(request.url ?? "", "http://ops").searchParams.get("skip"));
        return response.end(JSON.stringify({ dead: dead.slice(skip, skip + 3), count: dead.length }));
      }
      const key = request.url?.split("/")[3];
      if (key === "wfj-2") return response.writeHead(503).end('{"error":"redis_unavailable"}');
      dead = dead.filter((one) => one.key !== key);
      return response.end('{"outcome":"done"}');
    });
    const retried = await run(["retry", "--all", "--class", "mac"], { OPS_URL: ops.url });
    expect(retried.output.split("\n")).to.deep.equal([
      "wfj-1: back in its queue",
      "wfj-2: redis_unavailable (503)",
      "wfj-3: back in its queue",
      "wfj-6: back in its queue",
      "3 done, 1 refused",
    ]);
    expect([retried.failed, retried.exitCode]).to.deep.equal([undefined, 1]);
    expect(dead.map(({ key }) => key)).to.deep.equal(["wfj-2", "wfj-4", "wfj-5"]);
  });

  it("says that a class has no dead letter, and which ones have", async () => {
    let dead = ["mac", "linux", "mac"].map((runnerClass, id) => ({
      key: `wfj-${id}`,
      demand: { runnerClass },
    }));
    const ops = await serve((_seen, response) => response.end(JSON.stringify({ dead, count: dead.length })));
    const dismiss = () => run(["dismiss", "--all", "--class", "typo"], { OPS_URL: ops.url });
    const { failed, output } = await dismiss();
    expect([failed?.message, failed?.exitCode, output]).to.deep.equal([
      ...['no dead letter is of class "typo"; there are some of linux, mac', 1, ""],
    ]);
    dead = [];
    expect((await dismiss()).failed?.message).to.contain("there are none at all");
    expect(await run(["dismiss", "--all"], { OPS_URL: ops.url })).to.include({
      ...{ output: "0 done, 0 refused", failed: undefined, exitCode: 0 },
    });
    expect(ops.seen.every(({ request }) => request.method === "GET")).to.equal(true);
  });

  it("acts on nothing that was not named", async () => {
    for (const args of [["retry"], ["dismiss", "--class", "mac"], ["retry", "wfj-1", "--all"]])
      expect((await run(args)).failed?.exitCode, args.join(" ")).to.equal(2);
  });

  it("refuses what it can't understand before anything is sent", async () => {
    for (const args of [
      ["send", "--id", "abc"],
      ["status", "--limit", "0"],
      ["test-runners", "--timeout", "soon"],
      ["frob"],
    ])
      expect((await run(args)).failed, args.join(" ")).to.have.property("name", "CommanderError");
  });

  it("counts a dry run that nobody would serve as failed", async () => {
    const body = '{"outcome":"ignored","reason":"labels"}';
    const ingress = await serve((_seen, response) => response.writeHead(200).end(body));
    const args = ["send", "--to", ingress.url, "--label", "windows"];
    expect((await run([...args, "--dry-run"])).exitCode).to.equal(1);
    expect((await run([...args, "--wait"])).exitCode).to.equal(1);
    expect((await run(args)).exitCode).to.equal(0);
  });

  it("explains a job by the address of its page", async () => {
    const ops = await serve((_seen, response) => response.writeHead(404).end('{"error":"unknown"}'));
    const address = "https://github.com/acme/app/actions/runs/1/job/42?pr=3";
    const { failed } = await run(["explain", address], { OPS_URL: ops.url });
    expect(ops.seen[0]?.request.url).to.equal("/api/workflow-jobs/wfj-42");
    expect([failed?.message, failed?.exitCode].join()).to.match(/nothing is known of wfj-42.*,1$/);
    for (const bad of ["https://github.com/acme/app/actions/runs/1", "hello", "-1", ""]) {
      const refused = await run(["explain", "--", bad], { OPS_URL: ops.url });
      expect(refused.failed?.exitCode, bad).to.equal(2);
    }
  });

  it("has help on everything", () => {
    const program = createProgram(() => {
      throw new Error("help needs no environment");
    });
    const names = program.commands.map((command) => command.name());
    expect(names).to.include.members([
      "validate",
      "plan",
      "send",
      "status",
      "retry",
      "dead",
      "explain",
      "test-runners",
    ]);
    for (const command of program.commands) {
      expect(command.description(), command.name()).not.to.equal("");
      expect(command.helpInformation()).to.contain("Usage: grp");
    }
  });
});
