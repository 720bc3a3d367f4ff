import { expect } from "chai";
import { createEc2StandIn, type Ec2StandIn, type Ec2StandInOptions } from "./stand-in.ts";
import type { Ec2Machine } from "./types.ts";

const ARM64 = "ami-0aa1000000000001";

describe("the EC2 stand-in", () => {
  let ec2: Ec2StandIn;
  let clock = 1_000_000;
  const setUp = async (options: Ec2StandInOptions = {}) => {
    ec2 = await createEc2StandIn({ now: () => clock, ...options });
  };
  afterEach(() => ec2.close());

  const call = async (Action: string, parameters: Record<string, string> = {}, region = "us-east-1") => {
    const response = await fetch(ec2.url, {
      method: "POST",
      headers: { authorization: `AWS4-HMAC-SHA256 Credential=AKID/20261124/${region}/ec2/aws4_request` },
      body: new URLSearchParams({ Action, Version: "2016-11-15", ...parameters }),
    });
    const text = await response.text();
    return { status: response.status, text, code: /<Code>(.*?)<\/Code>/.exec(text)?.[1] ?? "ok" };
  };
  const run = (parameters: Record<string, string> = {}, region?: string) => {
    const common = {
      ImageId: ARM64,
      InstanceType: "t4g.large",
      SubnetId: "subnet-a",
      MinCount: "1",
      MaxCount: "1",
    };
    return call("RunInstances", { ...common, ...parameters }, region);
  };
  const idIn = (answer: { text: string }) => /<instanceId>(.*?)<\/instanceId>/.exec(answer.text)?.[1] ?? "";
  const codes = async (answers: Promise<{ code: string }>[]) =>
    (await Promise.all(answers)).map(({ code }) => code);

  describe("ClientToken", () => {
    beforeEach(() =>
      setUp({ subnets: { "subnet-a": "us-east-1a", "subnet-b": "us-east-1b", "subnet-a2": "us-east-1a" } }),
    );

    it("answers the same instance to the same call", async () => {
      const first = await run({ ClientToken: "t" });
      expect(idIn(await run({ ClientToken: "t" }))).to.equal(idIn(first));
      expect(ec2.instances()).to.have.length(1);
    });

    it("is another call in another zone or region, and a mismatch in the same zone", async () => {
      await run({ ClientToken: "t" });
      expect(await codes([run({ ClientToken: "t", SubnetId: "subnet-b" })])).to.deep.equal(["ok"]);
      expect((await run({ ClientToken: "t" }, "eu-west-1")).code).to.equal("ok");
      expect((await run({ ClientToken: "t", SubnetId: "subnet-a2" })).code).to.equal(
        "IdempotentParameterMismatch",
      );
      expect(ec2.instances()).to.have.length(3);
    });

    it("is a mismatch with other user data", async () => {
      await run({ ClientToken: "t", UserData: "YQ==" });
      expect((await run({ ClientToken: "t", UserData: "Yg==" })).code).to.equal(
        "IdempotentParameterMismatch",
      );
    });

    it("is spent once its instance has ended", async () => {
      ec2.shutDown(idIn(await run({ ClientToken: "t" })));
      const first = ec2.instances()[0] as Ec2Machine;
      // Without InstanceInitiatedShutdownBehavior a shutdown only stops the machine.
      expect(first.state).to.equal("stopped");
      await call("TerminateInstances", { "InstanceId.1": first.instanceId });
      expect((await run({ ClientToken: "t" })).code).to.equal("IdempotentInstanceTerminated");
    });

    it("is not kept by a launch that was refused", async () => {
      ec2.limitCapacity({}, 0);
      expect((await run({ ClientToken: "t" })).code).to.equal("InsufficientInstanceCapacity");
      ec2.limitCapacity({}, 1);
      expect((await run({ ClientToken: "t" })).code).to.equal("ok");
    });
  });

  it("starts nothing on a DryRun", async () => {
    await setUp();
    const answer = await run({ DryRun: "true" });
    expect([answer.status, answer.code]).to.deep.equal([412, "DryRunOperation"]);
    expect(ec2.instances()).to.have.length(0);
  });

  it("refuses what EC2 refuses", async () => {
    await setUp({ throttle: false, subnets: { "subnet-a": "us-east-1a" } });
    const refused: [Record<string, string>, string][] = [
      [{ ImageId: "ami-0dead" }, "InvalidAMIID.NotFound"],
      [{ ImageId: "" }, "MissingParameter"],
      [{ InstanceType: "m7i.large" }, "InvalidParameterValue"],
      [{ SubnetId: "subnet-x" }, "InvalidSubnetID.NotFound"],
      [{ UserData: "#!/bin/sh" }, "InvalidUserData.Malformed"],
      [{ UserData: Buffer.alloc(16_385).toString("base64") }, "InvalidParameterValue"],
      [{ MaxCount: "0" }, "InvalidParameterValue"],
      [{ ClientToken: "x".repeat(65) }, "InvalidParameterValue"],
      [{ ImageId: "ami-0aa1000000000004", InstanceType: "mac2.metal" }, "UnsupportedOperation"],
    ];
    for (const [parameters, code] of refused) expect((await run(parameters)).code).to.equal(code);
    expect((await call("RebootInstances")).code).to.equal("InvalidAction");
    expect((await call("DescribeInstances", { MaxResults: "4" })).code).to.equal("InvalidParameterValue");
  });

  it("launches as many as there is room for, down to MinCount", async () => {
    await setUp({ throttle: false });
    ec2.limitCapacity({ market: "spot" }, 3);
    const spot = { "InstanceMarketOptions.MarketType": "spot" };
    await run({ ...spot, MaxCount: "5" });
    expect(ec2.instances()).to.have.length(3);
    expect((await run(spot)).code).to.equal("InsufficientInstanceCapacity");
    expect((await run({ MinCount: "2", MaxCount: "2" })).code).to.equal("ok");
    ec2.interruptSpot(ec2.instances()[0]?.instanceId ?? "");
    expect((await run(spot)).code).to.equal("ok");
  });

  it("throttles as AWS does: five launches, then two a second", async () => {
    await setUp();
    for (let at = 0; at < 5; at++) expect((await run()).code).to.equal("ok");
    const refused = await run();
    expect([refused.status, refused.code]).to.deep.equal([503, "RequestLimitExceeded"]);
    expect((await run({}, "eu-west-1")).code).to.equal("ok");
    clock += 1_000;
    expect(await codes([run(), run(), run()])).to.have.members(["ok", "ok", "RequestLimitExceeded"]);
  });

  it("counts instances in a bucket of their own", async () => {
    await setUp();
    expect((await run({ MaxCount: "999" })).code).to.equal("ok");
    expect((await run({ MaxCount: "2" })).code).to.equal("RequestLimitExceeded");
    clock += 1_000;
    expect((await run({ MaxCount: "2" })).code).to.equal("ok");
  });

  it("moves each instance through its states by the clock", async () => {
    const seen: string[] = [];
    await setUp({
      pendingMs: 10_000,
      shuttingDownMs: 30_000,
      onLaunch: ({ state }) => seen.push(`launch ${state}`),
      onTerminate: ({ state }, cause) => seen.push(`end ${state} ${cause}`),
    });
    const id = idIn(await run());
    const state = () => ec2.get(id)?.state;
    const states = [state()];
    clock += 10_000;
    states.push(state());
    await call("TerminateInstances", { "InstanceId.1": id });
    states.push(state());
    clock += 30_000;
    states.push(state());
    expect(states).to.deep.equal(["pending", "running", "shutting-down", "terminated"]);
    expect(seen).to.deep.equal(["launch pending", "end shutting-down api"]);
  });

  it("shows an instance only after a while, and forgets it an hour after its end", async () => {
    await setUp({ consistencyDelayMs: 5_000 });
    const id = idIn(await run());
    const byId = async () => (await call("DescribeInstances", { "InstanceId.1": id })).code;
    expect(await byId()).to.equal("InvalidInstanceID.NotFound");
    clock += 5_000;
    expect(await byId()).to.equal("ok");
    await call("TerminateInstances", { "InstanceId.1": id });
    expect(await byId()).to.equal("ok");
    clock += 3_600_000;
    expect(await byId()).to.equal("InvalidInstanceID.NotFound");
  });

  it("keeps apart what differs by tag, token and state, page by page", async () => {
    await setUp({ throttle: false });
    for (let at = 0; at < 7; at++)
      await run({
        ClientToken: `t${at}`,
        "TagSpecification.1.ResourceType": "instance",
        "TagSpecification.1.Tag.1.Key": "grp:installation",
        "TagSpecification.1.Tag.1.Value": at < 6 ? "grp" : "other",
      });
    const filter = { "Filter.1.Name": "tag:grp:installation", "Filter.1.Value.1": "grp", MaxResults: "5" };
    const first = await call("DescribeInstances", filter);
    const NextToken = /<nextToken>(.*?)<\/nextToken>/.exec(first.text)?.[1] ?? "";
    const second = await call("DescribeInstances", { ...filter, NextToken });
    const count = (answer: { text: string }) => answer.text.match(/<instanceId>/g)?.length;
    expect([count(first), count(second)]).to.deep.equal([5, 1]);
    expect(second.text).to.not.include("nextToken");
    const byToken = { "Filter.1.Name": "client-token", "Filter.1.Value.1": "t6" };
    expect(count(await call("DescribeInstances", byToken))).to.equal(1);
    const stopped = { "Filter.1.Name": "instance-state-name", "Filter.1.Value.1": "stopped" };
    expect(count(await call("DescribeInstances", stopped))).to.equal(undefined);
  });

  it("fails, loses and hangs as it is told", async () => {
    await setUp();
    ec2.failNext("InternalError", { times: 2 });
    expect(await codes([run(), run()])).to.deep.equal(["InternalError", "InternalError"]);
    ec2.loseNextResponse();
    const lost = await run().catch((error: Error) => error.message);
    expect(lost).to.equal("fetch failed");
    expect(ec2.instances()).to.have.length(1);
    const arrived = ec2.hangNext("RunInstances");
    const hanging = run().catch((error: Error) => error.message);
    await arrived;
    expect(ec2.instances()).to.have.length(2);
    await ec2.close();
    expect(await hanging).to.equal("fetch failed");
    await setUp();
  });

  it("answers SSM's GetParameter", async () => {
    await setUp();
    const ask = async (Name: string) => {
      const headers = {
        "x-amz-target": "AmazonSSM.GetParameter",
        "content-type": "application/x-amz-json-1.1",
      };
      const response = await fetch(ec2.url, { method: "POST", headers, body: JSON.stringify({ Name }) });
      return JSON.stringify(await response.json());
    };
    expect(await ask(Object.keys(ec2.parameters)[0] ?? "")).to.include(ARM64);
    expect(await ask("/nowhere")).to.include("ParameterNotFound");
  });
});
