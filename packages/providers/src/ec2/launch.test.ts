import {
  InvalidSpecError,
  LaunchSpentError,
  NoCapacityError,
  type ProvisionError,
  RateLimitedError,
  TransientError,
} from "@grp/core";
import { AWS_THROTTLES, listOf } from "@grp/sandbox/ec2";
import { expect } from "chai";
import { failure } from "../conformance/describe-provider.ts";
import { createTestCloud, IMAGE, type TestCloud } from "../testing/ec2-cloud.ts";

const MINUTE = 60_000;

describe("an EC2 launch", () => {
  let cloud: TestCloud;
  const never = new AbortController().signal;
  const launch = (id = "l-1", size?: number, changes = {}) =>
    cloud.provider.launch(cloud.order(id, size, changes), never);
  const runs = () => cloud.ec2.calls.filter((call) => call.action === "RunInstances");
  const where = () => runs().map(({ request }) => `${request.SubnetId} ${request.InstanceType}`);
  const live = () => cloud.ec2.instances().filter(({ state }) => state === "running");

  beforeEach(async () => {
    cloud = await createTestCloud();
  });
  afterEach(() => cloud.close());

  describe("asks for", () => {
    it("a machine that ends itself, with IMDSv2 only, an encrypted gp3 root and tags on all it makes", async () => {
      await launch();
      const request = runs()[0]?.request;
      expect(request).to.deep.include({
        ImageId: IMAGE,
        InstanceType: "t4g.large",
        SubnetId: "subnet-a",
        SecurityGroupId: ["sg-1"],
        MinCount: "1",
        MaxCount: "1",
        InstanceInitiatedShutdownBehavior: "terminate",
        MetadataOptions: { HttpEndpoint: "enabled", HttpTokens: "required", HttpPutResponseHopLimit: "1" },
        BlockDeviceMapping: [
          {
            DeviceName: "/dev/sda1",
            Ebs: { VolumeType: "gp3", VolumeSize: "30", Encrypted: "true", DeleteOnTermination: "true" },
          },
        ],
      });
      const Tag = [
        { Key: "grp:installation", Value: "grp" },
        { Key: "grp:launch", Value: "l-1" },
        { Key: "grp:class", Value: "ubuntu-arm64" },
        { Key: "grp:scope", Value: "repo:acme/app" },
        { Key: "Name", Value: "grp ubuntu-arm64" },
      ];
      expect(request?.TagSpecification).to.deep.equal(
        ["instance", "volume", "network-interface"].map((ResourceType) => ({ ResourceType, Tag })),
      );
      expect(request).to.not.have.any.keys("InstanceMarketOptions", "Placement", "IamInstanceProfile");
      expect(request?.ClientToken).to.match(/^[0-9a-f]{64}$/);
    });

    it("a one-time spot machine, its request tagged too", async () => {
      await launch("l-1", 1, { market: "spot" });
      expect(runs()[0]?.request.InstanceMarketOptions).to.deep.equal({
        MarketType: "spot",
        SpotOptions: { SpotInstanceType: "one-time", InstanceInterruptionBehavior: "terminate" },
      });
      expect(JSON.stringify(runs()[0]?.request.TagSpecification)).to.include('"spot-instances-request"');
    });

    it("the volume and instance profile of the offering", async () => {
      const volume = { sizeGiB: 100, iops: 6_000, throughputMiBps: 500, device: "/dev/xvda" };
      await launch("l-1", 1, { volume, instanceProfile: "runner" });
      await launch("l-2", 1, { instanceProfile: "arn:aws:iam::123456789012:instance-profile/runner" });
      const [byName, byArn] = runs().map((call) => call.request);
      const disk = { VolumeSize: "100", Iops: "6000", Throughput: "500" };
      expect(JSON.stringify(byName?.BlockDeviceMapping)).to.include('"DeviceName":"/dev/xvda"');
      expect(listOf(byName, "BlockDeviceMapping")[0]?.Ebs).to.include(disk);
      expect(byName?.IamInstanceProfile).to.deep.equal({ Name: "runner" });
      expect(byArn?.IamInstanceProfile).to.have.property("Arn");
    });

    it("a mac on its host, or in its host resource group", async () => {
      const mac = { instanceTypes: ["mac2.metal"], image: { id: "ami-0aa1000000000004" } };
      const resourceGroup = "arn:aws:resource-groups:us-east-1:123456789012:group/macs";
      await launch("l-1", 1, { ...mac, host: { id: "h-1" } });
      await launch("l-2", 1, { ...mac, host: { resourceGroup } });
      expect(runs().map((call) => call.request.Placement)).to.deep.equal([
        { Tenancy: "host", HostId: "h-1" },
        { Tenancy: "host", HostResourceGroupArn: resourceGroup },
      ]);
    });

    it("user data in base64, the same bytes on a retry", async () => {
      await launch();
      await launch();
      const [first, second] = runs().map((call) => call.request.UserData);
      expect(first).to.equal(second);
      expect(cloud.ec2.instances()[0]?.userData).to.equal("#!/bin/sh\n# l-1 grp1.ticket\n");
    });
  });

  it("is refused before any call when the user data is over 16 KB", async () => {
    const big = await createTestCloud({}, { renderUserData: () => "é".repeat(8_193) });
    const error = await failure(big.provider.launch(big.order("l-1"), never));
    expect(error).to.be.instanceOf(InvalidSpecError).with.property("code", "UserDataTooLarge");
    expect(big.ec2.calls).to.have.length(0);
    await big.close();
  });

  it("tells account, region, spot and time of what it started", async () => {
    const [instance] = await launch("l-1", 1, { market: "spot" });
    expect(instance).to.include({
      accountId: "123456789012",
      region: "us-east-1",
      isSpot: true,
      state: "pending",
      runnerClass: "ubuntu-arm64",
      scope: "repo:acme/app",
    });
    expect(instance?.launchedAt).to.be.closeTo(Date.now(), 60_000);
  });

  describe("without room", () => {
    it("tries every subnet with the first type, then with the next, each with a token of its own", async () => {
      cloud.ec2.limitCapacity({}, 0);
      const error = await failure(launch());
      expect(error).to.be.instanceOf(NoCapacityError).with.property("code", "InsufficientInstanceCapacity");
      expect(where()).to.deep.equal([
        "subnet-a t4g.large",
        "subnet-b t4g.large",
        "subnet-a m7g.large",
        "subnet-b m7g.large",
      ]);
      expect(new Set(runs().map((call) => call.request.ClientToken))).to.have.property("size", 4);
    });

    it("begins with the best-liked placement again next time", async () => {
      cloud.ec2.limitCapacity({}, 0);
      await failure(launch());
      cloud.ec2.limitCapacity({}, 10);
      cloud.ec2.calls.length = 0;
      await launch();
      expect(where()).to.deep.equal(["subnet-a t4g.large"]);
    });

    it("takes the first placement that has some", async () => {
      cloud.ec2.limitCapacity({ instanceType: "t4g.large" }, 0);
      await launch();
      expect(where().at(-1)).to.equal("subnet-a m7g.large");
      expect(live()).to.have.length(1);
    });

    it("passes over the other subnets when the quota for the type is used up", async () => {
      cloud.ec2.failNext("VcpuLimitExceeded", { action: "RunInstances" });
      await launch();
      expect(where()).to.deep.equal(["subnet-a t4g.large", "subnet-a m7g.large"]);
    });

    it("leaves the offering when the whole region's spot quota is used up", async () => {
      cloud.ec2.failNext("MaxSpotInstanceCountExceeded", { action: "RunInstances" });
      expect(await failure(launch())).to.be.instanceOf(NoCapacityError);
      expect(runs()).to.have.length(1);
    });

    it("asks other launches' placements no more for a moment, and then again", async () => {
      cloud.ec2.limitCapacity({ instanceType: "t4g.large" }, 0);
      await launch("l-1");
      cloud.ec2.calls.length = 0;
      await launch("l-2");
      expect(where()).to.deep.equal(["subnet-a m7g.large"]);
      await launch("l-3", 1, { market: "spot" });
      expect(where().slice(1)).to.include("subnet-a t4g.large");
      cloud.ec2.calls.length = 0;
      cloud.advance(MINUTE);
      await launch("l-4");
      expect(where()[0]).to.equal("subnet-a t4g.large");
    });

    it("says so at once, without a call, while all was refused a moment ago", async () => {
      cloud.ec2.limitCapacity({}, 0);
      await failure(launch("l-1"));
      cloud.ec2.calls.length = 0;
      expect(await failure(launch("l-2"))).to.be.instanceOf(NoCapacityError);
      expect(runs()).to.have.length(0);
    });

    it("comes to its end though AWS throttles each second call", async () => {
      const slow = { RunInstances: { request: { max: 1, refillPerSecond: 1 } } };
      const throttled = await createTestCloud({ throttle: slow });
      throttled.ec2.limitCapacity({}, 0);
      const codes: (string | undefined)[] = [];
      while (codes.at(-1) !== "InsufficientInstanceCapacity" && codes.length < 10) {
        const error = await failure(throttled.provider.launch(throttled.order("l-1"), never));
        codes.push((error as ProvisionError).code);
        throttled.advance(1_000);
      }
      expect(codes).to.deep.equal([...Array(3).fill("RequestLimitExceeded"), "InsufficientInstanceCapacity"]);
      await throttled.close();
    });

    it("blames the configuration only when no placement supports it", async () => {
      cloud.ec2.failNext("Unsupported", { action: "RunInstances", times: 3 });
      cloud.ec2.failNext("InsufficientInstanceCapacity", { action: "RunInstances" });
      expect(await failure(launch())).to.be.instanceOf(NoCapacityError);
      cloud.advance(MINUTE);
      cloud.ec2.failNext("Unsupported", { action: "RunInstances", times: 4 });
      expect(await failure(launch())).to.be.instanceOf(InvalidSpecError);
    });
  });

  describe("tried again", () => {
    it("stays where the answer was lost, though an earlier placement has room by now", async () => {
      cloud.ec2.limitCapacity({ subnetId: "subnet-a" }, 0);
      cloud.ec2.failNext("InsufficientInstanceCapacity", { action: "RunInstances" });
      cloud.ec2.loseNextResponse();
      expect(await failure(launch())).to.be.instanceOf(TransientError);
      cloud.ec2.limitCapacity({ subnetId: "subnet-a" }, 10);
      const [instance] = await cloud.another().launch(cloud.order("l-1"), never);
      expect(cloud.ec2.instances().map((machine) => machine.instanceId)).to.deep.equal([
        instance?.instanceId,
      ]);
      expect(where()).to.deep.equal(["subnet-a t4g.large", "subnet-b t4g.large", "subnet-b t4g.large"]);
    });

    it("would cost a second machine if the placement were forgotten", async () => {
      cloud.ec2.failNext("InsufficientInstanceCapacity", { action: "RunInstances" });
      cloud.ec2.loseNextResponse();
      await failure(launch());
      cloud.placements.clear();
      cloud.advance(MINUTE);
      await launch();
      expect(live()).to.have.length(2);
    });

    it("looks for its machine before it leaves a placement that now refuses", async () => {
      cloud.ec2.loseNextResponse();
      await failure(launch());
      cloud.ec2.failNext("VcpuLimitExceeded", { action: "RunInstances" });
      const [instance] = await launch();
      expect(cloud.ec2.instances().map((machine) => machine.instanceId)).to.deep.equal([
        instance?.instanceId,
      ]);
    });

    it("comes round to the placements before, after a certain refusal", async () => {
      cloud.placements.set("l-1", `subnet-a|m7g.large|${IMAGE}`);
      cloud.ec2.limitCapacity({ instanceType: "m7g.large" }, 0);
      await launch();
      expect(where()).to.deep.equal(["subnet-a m7g.large", "subnet-b m7g.large", "subnet-a t4g.large"]);
    });

    it("uses the image of the first try, whatever the parameter says by now", async () => {
      cloud.ec2.loseNextResponse();
      await failure(launch());
      cloud.ec2.setParameter(Object.keys(cloud.ec2.parameters)[0] ?? "", "ami-0aa1000000000003");
      cloud.advance(3_600_000);
      const [instance] = await cloud.another().launch(cloud.order("l-1"), never);
      expect(live().map(({ instanceId, imageId }) => [instanceId, imageId])).to.deep.equal([
        [instance?.instanceId, IMAGE],
      ]);
      expect(cloud.ec2.calls.filter((call) => call.action === "GetParameter")).to.have.length(1);
    });

    it("begins where a machine may be, though the catalog has lost that placement", async () => {
      cloud.ec2.loseNextResponse();
      await failure(launch());
      const [instance] = await launch("l-1", 1, { subnets: ["subnet-c"] });
      expect(cloud.ec2.instances().map((machine) => machine.instanceId)).to.deep.equal([
        instance?.instanceId,
      ]);
    });

    it("takes over the machine of a call with other parameters", async () => {
      cloud.ec2.loseNextResponse();
      await failure(launch());
      const order = cloud.order("l-1");
      const changed = { ...order, boot: { ...order.boot, publicUrl: "x", ticket: "other" } };
      const [instance] = await cloud.provider.launch(changed, never);
      expect(runs().at(-1)?.outcome).to.equal("IdempotentParameterMismatch");
      expect(cloud.ec2.instances().map((machine) => machine.instanceId)).to.deep.equal([
        instance?.instanceId,
      ]);
    });

    it("waits when the machine of other parameters is not to be seen yet", async () => {
      cloud.ec2.failNext("IdempotentParameterMismatch", { action: "RunInstances" });
      const error = await failure(launch());
      expect(error).to.be.instanceOf(TransientError).and.not.instanceOf(LaunchSpentError);
      expect(error).to.have.property("code", "IdempotentParameterMismatch");
    });

    it("says that the launch is spent when its machine has ended", async () => {
      await launch();
      cloud.ec2.shutDown(cloud.ec2.instances()[0]?.instanceId ?? "");
      expect(await failure(launch())).to.be.instanceOf(LaunchSpentError);
      const order = cloud.order("l-1");
      cloud.ec2.failNext("IdempotentParameterMismatch", { action: "RunInstances" });
      expect(await failure(cloud.provider.launch(order, never))).to.be.instanceOf(LaunchSpentError);
      expect(cloud.ec2.instances()).to.have.length(1);
    });
  });

  describe("of several machines", () => {
    const end = (index: number) => cloud.ec2.shutDown(cloud.ec2.instances()[index]?.instanceId ?? "");

    it("is one call, of at least one and at most as many as asked", async () => {
      expect(await launch("l-1", 20)).to.have.length(20);
      expect(runs().map(({ request }) => [request.MinCount, request.MaxCount])).to.deep.equal([["1", "20"]]);
    });

    it("ends at the first placement that has some room", async () => {
      cloud.ec2.limitCapacity({ subnetId: "subnet-a" }, 0);
      cloud.ec2.limitCapacity({ subnetId: "subnet-b" }, 2);
      expect(await launch("l-1", 3)).to.have.length(2);
      expect(where()).to.deep.equal(["subnet-a t4g.large", "subnet-b t4g.large"]);
    });

    it("gives those that are left, when some ended before their launch was heard of", async () => {
      cloud.ec2.loseNextResponse();
      await failure(launch("l-1", 3));
      end(0);
      const left = cloud.ec2.instances().slice(1);
      const ids = left.map(({ instanceId }) => instanceId);
      expect((await launch("l-1", 3)).map(({ instanceId }) => instanceId)).to.have.members(ids);
      cloud.ec2.failNext("IdempotentInstanceTerminated", { action: "RunInstances" });
      expect((await launch("l-1", 3)).map(({ instanceId }) => instanceId)).to.have.members(ids);
      end(1);
      end(2);
      expect(await failure(launch("l-1", 3))).to.be.instanceOf(LaunchSpentError);
    });
  });

  describe("with its ledger", () => {
    it("writes each placement down before it is called", async () => {
      const seen: [string, number][] = [];
      cloud.ec2.limitCapacity({ subnetId: "subnet-a" }, 0);
      const recordPlacement = async (placement: string) => {
        seen.push([placement, runs().length]);
      };
      await cloud.provider.launch({ ...cloud.order("l-1"), recordPlacement }, never);
      expect(seen).to.deep.equal([
        [`subnet-a|t4g.large|${IMAGE}`, 0],
        [`subnet-b|t4g.large|${IMAGE}`, 1],
      ]);
    });

    it("makes no call whose placement could not be written down", async () => {
      const recordPlacement = () => Promise.reject(new Error("redis is away"));
      const order = { ...cloud.order("l-1"), recordPlacement };
      expect(await failure(cloud.provider.launch(order, never))).to.have.property("message", "redis is away");
      expect(runs()).to.have.length(0);
    });

    it("stops between placements when aborted", async () => {
      const controller = new AbortController();
      cloud.ec2.limitCapacity({}, 0);
      const order = cloud.order("l-1");
      const recordPlacement = async (placement: string) => {
        await order.recordPlacement?.(placement);
        if (placement.startsWith("subnet-b")) controller.abort();
      };
      const error = await failure(cloud.provider.launch({ ...order, recordPlacement }, controller.signal));
      expect((error as ProvisionError).code).to.equal("aborted");
      expect(runs()).to.have.length(1);
      expect(cloud.placements.get("l-1")).to.match(/^subnet-b/);
    });
  });

  it("is told to slow down when AWS's bucket of five is empty, and starts nothing then", async () => {
    const throttled = await createTestCloud({ throttle: AWS_THROTTLES });
    const ids = Array.from({ length: 7 }, (_, at) => `l-${at}`);
    const start = (id: string) => throttled.provider.launch(throttled.order(id), never);
    const results = await Promise.allSettled(ids.map(start));
    const refused = ids.filter((_, at) => results[at]?.status === "rejected");
    expect(refused).to.have.length(2);
    const error = await failure(start(refused[0] ?? ""));
    expect(error).to.be.instanceOf(RateLimitedError);
    expect(throttled.ec2.instances()).to.have.length(5);
    throttled.advance((error as RateLimitedError).retryAfterMs);
    await Promise.all(refused.map(start));
    expect(throttled.ec2.instances()).to.have.length(7);
    await throttled.close();
  });

  it("puts no ticket into its errors", async () => {
    cloud.ec2.failNext("InternalError", { action: "RunInstances" });
    const error = (await failure(launch())) as Error;
    const told = [error.message, error.stack, JSON.stringify(error), JSON.stringify(error.cause)].join(" ");
    expect(told).to.not.include("grp1.ticket");
    expect(told).to.not.include(Buffer.from("grp1.ticket").toString("base64").slice(0, 10));
  });
});
