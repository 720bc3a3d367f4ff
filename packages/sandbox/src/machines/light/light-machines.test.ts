import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { DEFAULT_IMAGES } from "../../ec2/index.ts";
import { createSandbox, type Sandbox, type SandboxOptions } from "../../sandbox.ts";
import { createFates } from "./fate.ts";

interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, string>;
}

type ClaimAnswer = [status: number, text: string, headers?: Record<string, string>];

/** Notes every call; `/claims` gets the next of the answers, the last for ever. */
async function startIngress() {
  const received: Received[] = [];
  const answers: ClaimAnswer[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const path = request.url ?? "";
    received.push({ path, headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) });
    const [first = [503, ""]] = answers;
    const [status, text, headers = {}]: ClaimAnswer = path === "/claims" ? first : [204, ""];
    if (path === "/claims" && answers.length > 1) answers.shift();
    response.writeHead(status, headers).end(text);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    received,
    answers,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    phases: () => received.flatMap(({ body }) => body.phase ?? []),
    claims: () => received.filter(({ path }) => path === "/claims"),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue() && tries < 400; tries++) await sleep(20);
  expect(isTrue()).to.equal(true);
}

describe("light machines", () => {
  let ingress: Awaited<ReturnType<typeof startIngress>>;
  let sandbox: Sandbox;
  const granted: string[] = [];
  beforeEach(async () => {
    ingress = await startIngress();
    granted.length = 0;
  });
  afterEach(async () => {
    await sandbox.close();
    ingress.close();
  });

  const open = async (light: SandboxOptions["light"] = {}) => {
    const onGranted = (secrets: readonly string[]) => void granted.push(...secrets);
    sandbox = await createSandbox({ ec2: { throttle: false }, light: { onGranted, ...light } });
  };

  const settings = (limitS = 60, ticket = "grp1.it's a ticket") => ({
    GRP_URL: ingress.url,
    GRP_TICKET: ticket,
    GRP_BOOT_TIMEOUT: String(limitS),
    GRP_IDLE_TIMEOUT: String(limitS),
    GRP_MAX_RUNTIME: String(limitS),
  });

  async function launch(limitS?: number, ticket?: string): Promise<void> {
    const lines = Object.entries(settings(limitS, ticket)).map(
      ([name, value]) => `   ${name}='${value.replaceAll("'", `'\\''`)}'`,
    );
    const response = await fetch(sandbox.ec2.url, {
      method: "POST",
      headers: { authorization: "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/ec2/aws4_request" },
      body: new URLSearchParams({
        Action: "RunInstances",
        Version: "2016-11-15",
        ImageId: DEFAULT_IMAGES[0]?.imageId ?? "",
        InstanceType: "t4g.large",
        SubnetId: "subnet-1",
        MinCount: "1",
        MaxCount: "1",
        InstanceInitiatedShutdownBehavior: "terminate",
        UserData: Buffer.from(`#cloud-config\nwrite_files:\n- content: |\n${lines.join("\n")}\n`).toString(
          "base64",
        ),
      }),
    });
    expect(response.status, await response.text()).to.equal(200);
  }

  async function mint(name: string): Promise<string> {
    const response = await fetch(`${sandbox.github.url}/repos/acme/app/actions/runners/generate-jitconfig`, {
      method: "POST",
      headers: { authorization: `Bearer ${sandbox.github.token}`, "content-type": "application/json" },
      body: JSON.stringify({ name, runner_group_id: 1, labels: ["one"], work_folder: "_work" }),
    });
    const { encoded_jit_config: jitConfig } = (await response.json()) as { encoded_jit_config: string };
    return `runner_name=${name}\njit_config=${jitConfig}\nreport_ticket=grp1.report==\nrunner_url=x\n`;
  }

  const machine = () => sandbox.machines.records[0];
  const isOff = () => machine()?.endedAt !== undefined;
  const queue = () =>
    sandbox.github.queueWorkflowJob({ owner: "acme", repository: "app", labels: ["one"], durationMs: 50 });

  it("claim with the ticket and AWS's signature, come back when told to, run one job, report, power off", async () => {
    await open();
    ingress.answers.push([503, "", { "retry-after": "0" }], [200, await mint("r-1")]);
    queue();
    await launch();
    await until(isOff);
    expect(ingress.phases()).to.deep.equal(["booted", "downloaded", "online", "finished"]);
    const [claim, again] = ingress.claims();
    expect(claim?.headers.authorization).to.equal("Bearer grp1.it's a ticket");
    expect(claim?.headers.accept).to.equal("text/plain");
    const document = JSON.parse(Buffer.from(claim?.body.identityDocument ?? "", "base64").toString());
    expect(document).to.include({ instanceId: claim?.body.instanceId, region: "us-east-1" });
    expect(again?.body).to.deep.equal(claim?.body);
    expect(new X509Certificate(sandbox.machines.certificate).subject).to.equal("CN=grp sandbox");
    expect(ingress.received.at(-1)?.headers.authorization).to.equal("Bearer grp1.report==");
    expect(granted[1]).to.equal("grp1.report==");
    expect(sandbox.github.workflowJobs()[0]).to.include({ conclusion: "success", runnerName: "r-1" });
    expect(sandbox.ec2.instances()[0]?.stateReason).to.equal("Client.InstanceInitiatedShutdown");
  });

  it("do the same as a CodeMagic build", async () => {
    await open();
    ingress.answers.push([200, await mint("r-1")]);
    queue();
    const { token, url, appId } = sandbox.codemagic;
    await fetch(`${url}/builds`, {
      method: "POST",
      headers: { "x-auth-token": token, "content-type": "application/json" },
      body: JSON.stringify({
        appId,
        workflowId: "w",
        branch: "main",
        environment: { variables: settings() },
      }),
    });
    await until(isOff);
    expect(ingress.claims()[0]?.body).to.include({ os: "macos", instanceId: machine()?.id });
    expect(sandbox.codemagic.builds()[0]).to.include({ status: "finished", isLive: false });
  });

  it("go quietly when they are refused for good", async () => {
    await open();
    ingress.answers.push([410, ""]);
    await launch();
    await until(isOff);
    expect(machine()?.exitCode).to.equal(0);
    expect(ingress.claims()).to.have.length(1);
    expect(sandbox.ec2.instances()[0]?.state).to.equal("terminated");
  });

  it("end by their guard when they can't claim in time", async () => {
    await open();
    ingress.answers.push([503, "", { "retry-after": "0" }]);
    await launch(1);
    await until(isOff);
    expect(ingress.received.at(-1)?.body).to.include({ phase: "failed", detail: "boot timeout" });
  });

  it("are gone in an instant, from GitHub's view too, when they are ended from outside in mid-job", async () => {
    await open();
    ingress.answers.push([200, await mint("r-1")]);
    sandbox.github.queueWorkflowJob({
      owner: "acme",
      repository: "app",
      labels: ["one"],
      durationMs: 60_000,
    });
    await launch();
    await until(() => sandbox.github.runners()[0]?.busy === true);
    await sandbox.machines.end(machine()?.id ?? "");
    expect(machine()?.exitCode).to.equal(null);
    expect(ingress.phases()).to.not.include("finished");
  });

  it("tell of an interruption as soon as they run", async () => {
    await open();
    ingress.answers.push([200, await mint("r-1")]);
    await launch();
    await until(() => ingress.phases().includes("online"));
    sandbox.interruptSpot(machine()?.id ?? "", 200);
    await until(isOff);
    expect(ingress.phases().at(-1)).to.equal("interrupted");
  });

  for (const [fault, last, isOn] of [
    ["dies-after-claim", "booted", false],
    ["never-claims", "booted", true],
    ["never-online", "failed", false],
  ] as const)
    it(`with the fault ${fault} say ${last} last and are ${isOn ? "on" : "off"}`, async () => {
      await open({ faults: { [fault]: 1 } });
      ingress.answers.push([200, await mint("r-1")]);
      queue();
      await launch(1);
      await until(() => (isOn ? machine()?.console().includes("hangs") === true : isOff()));
      expect(ingress.phases().at(-1)).to.equal(last);
      expect(machine()?.fault).to.equal(fault);
      expect(sandbox.github.workflowJobs()[0]?.status).to.equal("queued");
      expect(sandbox.ec2.instances()[0]?.state).to.equal(isOn ? "running" : "terminated");
    });

  it("that hang are online first, and on until they are ended", async () => {
    await open({ faults: { hangs: 1 } });
    ingress.answers.push([200, await mint("r-1")]);
    queue();
    await launch();
    await until(() => machine()?.console().includes("hangs") === true);
    expect(machine()?.brokeAt).to.be.a("number");
    expect(sandbox.github.registrations()[0]?.onlineAt).to.be.a("number");
    expect(sandbox.ec2.instances()[0]?.state).to.equal("running");
  });

  it("whose answer was lost claim again, and keep only the second registration", async () => {
    await open({ quirks: { "loses-answer": 1 } });
    ingress.answers.push([200, await mint("r-1")], [200, await mint("r-2")]);
    queue();
    await launch();
    await until(isOff);
    expect(machine()?.claims?.map(({ status, runnerName }) => [status, runnerName])).to.deep.equal([
      [0, undefined],
      [200, "r-2"],
    ]);
    expect(granted).to.have.length(4);
    expect(sandbox.github.workflowJobs()[0]?.runnerName).to.equal("r-2");
  });

  it("that are rude show another's ticket first, or claim in mid-job, and note what they were answered", async () => {
    await open({ quirks: { "tries-another": 1 } });
    ingress.answers.push([503, "", { "retry-after": "30" }]);
    await launch();
    await until(() => ingress.claims().length === 1);
    ingress.answers.splice(0, 1, [401, ""], [410, ""]);
    await launch(60, "grp1.mine");
    await until(() => sandbox.machines.records[1]?.endedAt !== undefined);
    const [, foreign, own] = ingress.claims();
    expect(foreign?.headers.authorization).to.equal("Bearer grp1.it's a ticket");
    expect(own?.headers.authorization).to.equal("Bearer grp1.mine");
    const noted = sandbox.machines.records[1]?.claims?.map(({ status, isRude }) => [status, isRude]);
    expect(noted).to.deep.equal([
      [401, true],
      [410, undefined],
    ]);
  });

  it("that ask again do so while their job runs, and it goes on", async () => {
    await open({ quirks: { "asks-again": 1 } });
    ingress.answers.push([200, await mint("r-1")], [409, ""]);
    queue();
    await launch();
    await until(isOff);
    expect(machine()?.claims?.map(({ status, isRude }) => [status, isRude])).to.deep.equal([
      [200, undefined],
      [409, true],
    ]);
    expect(sandbox.github.workflowJobs()[0]?.conclusion).to.equal("success");
  });

  it("have the same fates in the same order by the same seed", () => {
    const faults = { "dies-in-boot": 0.3, hangs: 0.3 };
    const draw = (seed: number) => {
      const next = createFates({ seed, faults, bootMs: (random) => random() * 1_000 });
      return Array.from({ length: 50 }, () => {
        const { bootMs, fault } = next();
        return { bootMs, fault };
      });
    };
    expect(draw(7)).to.deep.equal(draw(7));
    expect(draw(7)).to.not.deep.equal(draw(8));
    expect(new Set(draw(7).map(({ fault }) => fault))).to.deep.equal(
      new Set([undefined, "dies-in-boot", "hangs"]),
    );
  });
});
