import { TransientError } from "@grp/core";
import { expect } from "chai";
import { createTestCloud, IMAGE, type TestCloud } from "../testing/ec2-cloud.ts";
import { testOrder } from "../testing/order.ts";
import { ec2Regions } from "./provider.ts";

describe("ec2Regions", () => {
  it("names each region of the catalog once", () => {
    const { runnerClass } = testOrder("l-1");
    const [offering] = runnerClass.offerings;
    if (offering?.provider !== "ec2") throw new Error("no EC2 offering");
    const offerings = [offering, { ...offering, region: "eu-west-1" }, offering];
    const classes = [{ ...runnerClass, offerings }];
    expect(ec2Regions({ classes })).to.deep.equal(["us-east-1", "eu-west-1"]);
  });
});

describe("listing EC2 instances", () => {
  let cloud: TestCloud;
  const never = new AbortController().signal;
  beforeEach(async () => {
    cloud = await createTestCloud({ pendingMs: 10_000, shuttingDownMs: 30_000, maxPageSize: 2 });
  });
  afterEach(() => cloud.close());

  const start = async (launchId: string, changes = {}) => {
    const order = cloud.order(launchId, 1, { image: { id: IMAGE }, ...changes });
    const [instance] = await cloud.provider.launch(order, never);
    return instance?.instanceId ?? "";
  };

  it("tells of each what its tags and its region know", async () => {
    const instanceId = await start("l-1", { market: "spot", region: "eu-west-1" });
    cloud.advance(10_000);
    expect((await cloud.another().list(never)).instances).to.deep.equal([
      {
        instanceId,
        provider: "ec2",
        launchId: "l-1",
        state: "running",
        launchedAt: cloud.ec2.get(instanceId)?.launchedAt,
        region: "eu-west-1",
        accountId: "123456789012",
        isSpot: true,
        runnerClass: "ubuntu-arm64",
        scope: "repo:acme/app",
      },
    ]);
  });

  it("asks every region, page by page", async () => {
    for (const region of ["us-east-1", "eu-west-1"])
      for (const at of [1, 2, 3]) await start(`l-${region}-${at}`, { region });
    expect((await cloud.provider.list(never)).instances).to.have.length(6);
    const calls = cloud.ec2.calls.filter((call) => call.action === "DescribeInstances");
    expect(calls).to.have.length(4);
  });

  it("tells of the other regions when one can't be asked, and fails when none can", async () => {
    const regions = ["us-east-1", "eu-west-1"];
    for (const region of regions) await start(`l-${region}`, { region });
    cloud.ec2.failNext("InternalError", { action: "DescribeInstances" });
    const { instances, unasked } = await cloud.provider.list(never);
    expect(instances).to.have.length(1);
    const places = [instances[0]?.region, unasked[0]?.place];
    expect(places).to.have.members(regions);
    expect(unasked[0]?.error).to.be.instanceOf(TransientError);
    cloud.ec2.failNext("InternalError", { action: "DescribeInstances", times: 2 });
    const error = await cloud.provider.list(never).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(TransientError);
  });

  it("asks a region that left the catalog too while machines live there, and never says that there are none unasked", async () => {
    const instanceId = await start("l-1", { region: "eu-west-1" });
    const list = async (liveRegions: () => Promise<readonly string[]>) =>
      (await cloud.another({ regions: ["us-east-1"], liveRegions }).list(never)).instances;
    expect(await list(async () => [])).to.deep.equal([]);
    const found = await list(async () => ["us-east-1", "eu-west-1"]);
    expect(found.map((one) => one.instanceId)).to.deep.equal([instanceId]);
    const isAway = list(() => Promise.reject(new Error("Redis is away"))).catch((reason: unknown) => reason);
    expect(await isAway).to.have.property("message", "Redis is away");
  });

  it("has what is pending, ending or stopped, and not what is terminated", async () => {
    const ids = [];
    for (const at of [1, 2, 3, 4]) ids.push(await start(`l-${at}`));
    const [pending, ending, ended, taken] = ids as [string, string, string, string];
    cloud.ec2.shutDown(ended);
    cloud.advance(30_000);
    cloud.ec2.shutDown(ending);
    cloud.ec2.interruptSpot(taken);
    const fresh = await start("l-5");
    const states = Object.fromEntries(
      (await cloud.provider.list(never)).instances.map(({ instanceId, state }) => [instanceId, state]),
    );
    expect(states).to.deep.equal({
      [pending]: "running",
      [ending]: "terminating",
      [taken]: "terminating",
      [fresh]: "pending",
    });
  });

  it("is another installation's in the same account for itself", async () => {
    await start("l-1");
    const other = await createTestCloud({}, { installation: "other", endpoint: cloud.ec2.url });
    expect((await other.provider.list(never)).instances).to.deep.equal([]);
    await other.close();
  });
});
