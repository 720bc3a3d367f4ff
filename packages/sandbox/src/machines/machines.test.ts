import { spawnSync } from "node:child_process";
import { verify, X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import type { Ec2Machine } from "../ec2/types.ts";
import { createSelfSigned } from "./certificate.ts";
import { createMachines, type Machines, type MachinesOptions } from "./machines.ts";

function instance(userData: string, instanceId = "i-0123456789abcdef0"): Ec2Machine {
  return {
    instanceId,
    region: "us-east-1",
    accountId: "123456789012",
    reservationId: "r-1",
    availabilityZone: "us-east-1a",
    subnetId: "subnet-1",
    instanceType: "t4g.large",
    imageId: "ami-1",
    architecture: "arm64",
    privateIp: "10.0.0.1",
    clientToken: "t",
    isSpot: true,
    userData,
    tags: {},
    launchedAt: Date.UTC(2026, 0, 1),
    state: "running",
    request: {},
  };
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue() && tries < 200; tries++) await sleep(20);
  expect(isTrue()).to.equal(true);
}

/** A zombie that nobody has collected yet is dead. */
function isAlive(pid: number): boolean {
  const { status, stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)]);
  return status === 0 && !stdout.toString().startsWith("Z");
}

describe("createSelfSigned", () => {
  it("writes a certificate that node reads and that is signed by its own key", () => {
    const { certificate } = createSelfSigned("grp sandbox", Date.now());
    const parsed = new X509Certificate(certificate);
    expect(parsed.subject).to.equal("CN=grp sandbox");
    expect(parsed.verify(parsed.publicKey)).to.equal(true);
    expect(parsed.validToDate.getTime()).to.be.greaterThan(Date.now());
  });
});

describe("the sandbox's machines", () => {
  let machines: Machines;
  const shutdowns: string[] = [];
  const open = (options: Partial<MachinesOptions> = {}) => {
    shutdowns.length = 0;
    machines = createMachines({ onShutdown: (id) => void shutdowns.push(id), ...options });
  };
  afterEach(() => machines.close());

  it("give the script a metadata service of version 2 with a signed identity document", async () => {
    open();
    machines.startInstance(
      instance(`#!/bin/bash
base="$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest"
echo "without: $(curl -s -o /dev/null -w '%{http_code}' "$base/meta-data/instance-id")"
token=$(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$base/api/token")
get() { curl -s -H "X-aws-ec2-metadata-token: $token" "$base/$1"; }
echo "id: $(get meta-data/instance-id)"
echo "document: $(get dynamic/instance-identity/document | base64 | tr -d '\\n')"
echo "signature: $(get dynamic/instance-identity/signature | tr -d '\\n')"
echo "pkcs7: $(get dynamic/instance-identity/rsa2048 | tr -d '\\n')"
shutdown -h now
`),
    );
    await until(() => shutdowns.length === 1);
    const console_ = machines.records[0]?.console() ?? "";
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(console_)?.[1] ?? "";
    expect(field("without")).to.equal("401");
    expect(field("id")).to.equal("i-0123456789abcdef0");
    const document = Buffer.from(field("document"), "base64");
    const { publicKey } = new X509Certificate(machines.certificate);
    expect(verify("sha256", document, publicKey, Buffer.from(field("signature"), "base64"))).to.equal(true);
    expect(field("pkcs7")).to.match(/^MI/);
    expect(JSON.parse(document.toString())).to.include({
      instanceId: "i-0123456789abcdef0",
      region: "us-east-1",
    });
  });

  it("end with all their processes and leave no folder", async () => {
    open();
    machines.startInstance(
      instance("#!/bin/bash\nset -m\n(trap '' TERM; sleep 100; sleep 100) &\necho $! $HOME\nsleep 100\n"),
    );
    await until(() => machines.records[0]?.console() !== "");
    const [pid, folder] = machines.records[0]?.console().trim().split(" ") ?? [];
    await machines.end("i-0123456789abcdef0");
    expect(existsSync(folder ?? "")).to.equal(false);
    expect(isAlive(Number(pid))).to.equal(false);
    expect(machines.records[0]?.endedAt).to.be.a("number");
  });

  it("pretend to be root, and the runner's user where a script asks for it", async () => {
    open();
    machines.startInstance(
      instance(`#!/bin/bash
id runner
useradd -m runner
echo "$(id -u) $(whoami) $(id -u runner)"
runuser -u runner -- sh -c 'echo "$(id -un) $(id -u)"'
sudo -u runner -H A=1 sh -c 'echo "$(whoami) $A"'
su - runner -c 'whoami'
env -i PATH="$PATH" runuser -u runner -- id -un
sudo -n -u runner env -i PATH="$PATH" id -un
shutdown -h +60
uname -s; uname -m
shutdown -h now
`),
    );
    await until(() => shutdowns.length === 1);
    const lines = machines.records[0]?.console().trim().split("\n");
    expect(lines).to.deep.equal([
      "id: runner: no such user",
      "0 root 1001",
      "runner 1001",
      "runner 1",
      "runner",
      "runner",
      "runner",
      "Linux",
      "aarch64",
    ]);
  });

  it("boot from a #cloud-config too", async () => {
    open();
    machines.startInstance(
      instance(`#cloud-config
write_files:
  - path: /usr/local/bin/hello
    permissions: "0755"
    encoding: b64
    content: ${Buffer.from("#!/bin/sh\necho hello $1\nshutdown now\n").toString("base64")}
runcmd:
  - [/usr/local/bin/hello, you]
`),
    );
    await until(() => shutdowns.length === 1);
    expect(machines.records[0]?.console()).to.equal("hello you\n");
  });

  it("run no script that leaves its PATH", async () => {
    open();
    machines.startInstance(instance("#!/bin/bash\nexport PATH=/usr/sbin:/sbin\nshutdown -h now\n", "i-1"));
    machines.startInstance(instance("#!/bin/bash\n/sbin/shutdown -h now\n", "i-2"));
    await until(() => machines.records.every(({ failure }) => failure !== undefined));
    expect(machines.records[0]?.failure).to.contain("leaves its PATH");
  });

  it("run a build's scripts in order until one fails", async () => {
    const ends: string[] = [];
    open({ onBuildEnd: (id, outcome) => void ends.push(`${id} ${outcome}`) });
    const script = (text: string) => ({ name: "x", script: text });
    const variables = { WORD: "hi" };
    machines.startBuild({
      buildId: "b1",
      variables,
      scripts: [script("echo $WORD $CM_BUILD_ID"), script("true")],
    });
    machines.startBuild({ buildId: "b2", variables, scripts: [script("false"), script("echo never")] });
    await until(() => ends.length === 2);
    expect(ends.sort()).to.deep.equal(["b1 finished", "b2 failed"]);
    expect(machines.records.map((record) => record.console())).to.deep.equal(["hi b1\n", ""]);
  });
});
