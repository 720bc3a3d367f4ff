import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { DEFAULT_IMAGES } from "./ec2/index.ts";
import { createSandbox, type Sandbox } from "./sandbox.ts";

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue() && tries < 250; tries++) await sleep(20);
  expect(isTrue()).to.equal(true);
}

describe("the sandbox", () => {
  let sandbox: Sandbox;
  beforeEach(async () => {
    sandbox = await createSandbox({ ec2: { throttle: false } });
  });
  afterEach(() => sandbox.close());

  /** RunInstances as the wire has it. */
  async function launch(script: string): Promise<void> {
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
        UserData: Buffer.from(script).toString("base64"),
      }),
    });
    expect(response.status, await response.text()).to.equal(200);
  }

  it("runs the user data of every instance, whose own shutdown terminates it at EC2", async () => {
    await launch("#!/bin/sh\necho hello\nshutdown -h now\n");
    await until(() => sandbox.ec2.instances()[0]?.state === "terminated");
    await until(() => sandbox.machines.records[0]?.endedAt !== undefined);
    expect(sandbox.ec2.instances()[0]?.stateReason).to.equal("Client.InstanceInitiatedShutdown");
    expect(sandbox.machines.records[0]?.console()).to.contain("hello");
  });

  it("tells a machine, then ends its processes, when spot capacity is taken back", async () => {
    const imds = '"$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest/';
    await launch(`#!/bin/sh
token=$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' ${imds}api/token")
echo hello
until curl -sf -H "X-aws-ec2-metadata-token: $token" ${imds}meta-data/spot/instance-action"; do sleep 0.1; done
sleep 100
`);
    await until(() => sandbox.machines.records[0]?.console() === "hello\n");
    sandbox.interruptSpot(sandbox.ec2.instances()[0]?.instanceId ?? "", 500);
    await until(() => sandbox.machines.records[0]?.endedAt !== undefined);
    expect(sandbox.machines.records[0]?.console()).to.contain('"action":"terminate"');
    expect(sandbox.ec2.instances()[0]?.stateReason).to.equal("Server.SpotInstanceTermination");
    expect(sandbox.machines.records[0]?.exitCode).to.equal(null);
  });

  /** A start as CodeMagic's v1 API has it. */
  async function startBuild(variables: Record<string, string>): Promise<string> {
    const response = await fetch(`${sandbox.codemagic.url}/builds`, {
      method: "POST",
      headers: { "x-auth-token": sandbox.codemagic.token, "content-type": "application/json" },
      body: JSON.stringify({
        appId: sandbox.codemagic.appId,
        workflowId: "github-runner",
        branch: "main",
        environment: { variables },
      }),
    });
    return ((await response.json()) as { buildId: string }).buildId;
  }

  it("runs the shipped workflow for every CodeMagic build, and ends it when it is cancelled", async () => {
    const timeouts = { GRP_BOOT_TIMEOUT: "60", GRP_IDLE_TIMEOUT: "60", GRP_MAX_RUNTIME: "60" };
    // Nothing listens there: the script tries to claim until it is stopped.
    const buildId = await startBuild({
      GRP_URL: "http://127.0.0.1:9",
      GRP_TICKET: "t",
      GRP_LAUNCH: "l-1",
      ...timeouts,
    });
    await until(() => sandbox.machines.records[0]?.console().includes("booted: macos") === true);
    await fetch(`${sandbox.codemagic.url}/builds/${buildId}/cancel`, {
      method: "POST",
      headers: { "x-auth-token": sandbox.codemagic.token },
    });
    await until(() => sandbox.machines.records[0]?.endedAt !== undefined);
    expect(sandbox.codemagic.get(buildId)?.isLive).to.equal(false);
  });
});
