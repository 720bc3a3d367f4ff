import { UnauthorizedError } from "@grp/core";
import { expect } from "chai";
import { failure } from "../conformance/describe-provider.ts";
import { createTestCloud, IMAGE, type TestCloud } from "../testing/ec2-cloud.ts";

describe("ending an EC2 instance", () => {
  let cloud: TestCloud;
  const never = new AbortController().signal;
  const start = async (region = "us-east-1") => {
    const order = cloud.order("l-1", 1, { image: { id: IMAGE }, region });
    const [instance] = await cloud.provider.launch(order, never);
    return instance?.instanceId ?? "";
  };
  const actions = () => cloud.ec2.calls.map((call) => `${call.action} ${call.region} ${call.outcome}`);

  afterEach(() => cloud.close());

  it("asks the region it was started in, and says gone when EC2 does", async () => {
    cloud = await createTestCloud({ shuttingDownMs: 30_000 });
    const id = await start("eu-west-1");
    cloud.ec2.calls.length = 0;
    expect(await cloud.provider.terminate(id, never)).to.equal("terminating");
    expect(await cloud.provider.terminate(id, never)).to.equal("terminating");
    cloud.advance(30_000);
    expect(await cloud.provider.terminate(id, never)).to.equal("gone");
    expect(actions()).to.deep.equal([
      "DescribeInstances eu-west-1 ok",
      "TerminateInstances eu-west-1 ok",
      "DescribeInstances eu-west-1 ok",
      "DescribeInstances eu-west-1 ok",
    ]);
  });

  it("searches the regions for an instance another process started", async () => {
    cloud = await createTestCloud({ shuttingDownMs: 30_000 });
    const id = await start("eu-west-1");
    const other = cloud.another();
    cloud.ec2.calls.length = 0;
    expect(await other.terminate(id, never)).to.equal("terminating");
    expect(actions()).to.have.members([
      "DescribeInstances us-east-1 ok",
      "DescribeInstances eu-west-1 ok",
      "TerminateInstances eu-west-1 ok",
    ]);
  });

  it("finds a machine in a region that the catalog names no longer", async () => {
    cloud = await createTestCloud();
    const id = await start("eu-west-1");
    const other = cloud.another({ regions: ["us-east-1"] });
    expect(await other.terminate(id, never, "eu-west-1")).to.equal("terminating");
    expect(cloud.ec2.get(id)?.state).to.equal("terminated");
  });

  it("needs no search for what a list has shown", async () => {
    cloud = await createTestCloud();
    const id = await start("eu-west-1");
    const other = cloud.another();
    await other.list(never);
    cloud.ec2.calls.length = 0;
    await other.terminate(id, never);
    expect(actions()).to.deep.equal(["DescribeInstances eu-west-1 ok", "TerminateInstances eu-west-1 ok"]);
  });

  it("ends many with few calls, and one that EC2 does not know spoils it for none", async () => {
    cloud = await createTestCloud({ shuttingDownMs: 30_000 });
    const order = cloud.order("l-1", 50, { image: { id: IMAGE } });
    const ids = (await cloud.provider.launch(order, never)).map(({ instanceId }) => instanceId);
    cloud.ec2.calls.length = 0;
    cloud.ec2.failNext("InvalidInstanceID.NotFound", { action: "TerminateInstances" });
    const some = ids.slice(0, 5);
    await Promise.all(some.map((id) => cloud.provider.terminate(id, never)));
    // It fails once: by halves then.
    expect(actions().filter((action) => action.endsWith("ok"))).to.have.length(1 + 2);
    expect(some.map((id) => cloud.ec2.get(id)?.state)).to.deep.equal(some.map(() => "shutting-down"));
    cloud.ec2.calls.length = 0;
    const stop = new AbortController();
    const all = ids.map((id, at) => cloud.provider.terminate(id, at === 9 ? stop.signal : never));
    const ends = Promise.allSettled(all);
    stop.abort();
    expect((await ends).map(({ status }) => status).indexOf("rejected")).to.equal(9);
    expect(actions()).to.have.length(2);
    const left = cloud.ec2.instances().filter(({ state }) => state !== "shutting-down");
    expect(left.map(({ instanceId }) => instanceId)).to.deep.equal([ids[9]]);
  });

  it("leaves a machine alone that Describe shows terminated already", async () => {
    cloud = await createTestCloud();
    const id = await start();
    cloud.ec2.shutDown(id);
    const other = cloud.another();
    expect(await other.terminate(id, never)).to.equal("gone");
    expect(actions()).to.not.include("TerminateInstances us-east-1 ok");
  });

  it("does not take a machine that is not to be seen yet for gone", async () => {
    cloud = await createTestCloud({ consistencyDelayMs: 20_000 });
    const id = await start();
    expect(await cloud.provider.terminate(id, never)).to.equal("terminating");
    expect(cloud.ec2.get(id)?.state).to.equal("running");
    cloud.advance(20_000);
    expect(await cloud.provider.terminate(id, never)).to.equal("terminating");
    expect(cloud.ec2.get(id)?.state).to.equal("terminated");
  });

  it("asks again when one part of EC2 knows the machine and another doesn't", async () => {
    cloud = await createTestCloud();
    const id = await start();
    cloud.ec2.failNext("InvalidInstanceID.NotFound", { action: "TerminateInstances" });
    expect(await cloud.provider.terminate(id, never)).to.equal("terminating");
    expect(cloud.ec2.get(id)?.state).to.equal("running");
  });

  it("says when our policy doesn't let us end it", async () => {
    cloud = await createTestCloud();
    const id = await start();
    cloud.ec2.failNext("UnauthorizedOperation", { action: "TerminateInstances" });
    const error = await failure(cloud.provider.terminate(id, never));
    expect(error).to.be.instanceOf(UnauthorizedError);
  });

  it("ends all others of a call when one is protected, and says which one is", async () => {
    cloud = await createTestCloud();
    const order = cloud.order("l-1", 9, { image: { id: IMAGE } });
    const ids = (await cloud.provider.launch(order, never)).map(({ instanceId }) => instanceId);
    const kept = ids[3] as string;
    cloud.ec2.protect(kept);
    cloud.ec2.calls.length = 0;
    const ends = await Promise.allSettled(ids.map((id) => cloud.provider.terminate(id, never)));
    expect(ends.map(({ status }) => status)).to.deep.equal(
      ids.map((id) => (id === kept ? "rejected" : "fulfilled")),
    );
    const { reason } = ends[3] as PromiseRejectedResult;
    expect(reason).to.include({ code: "OperationNotPermitted" });
    expect(reason.message).to.include(kept);
    const left = cloud.ec2.instances().filter(({ state }) => state !== "terminated");
    expect(left.map(({ instanceId }) => instanceId)).to.deep.equal([kept]);
    // By halves, not one by one.
    expect(actions().filter((action) => action.startsWith("Terminate"))).to.have.length.at.most(9);
  });

  it("asks once for many when we are not allowed to ask at all", async () => {
    cloud = await createTestCloud();
    const order = cloud.order("l-1", 9, { image: { id: IMAGE } });
    const ids = (await cloud.provider.launch(order, never)).map(({ instanceId }) => instanceId);
    cloud.ec2.failNext("AuthFailure", { action: "TerminateInstances", times: 100 });
    cloud.ec2.calls.length = 0;
    const ends = ids.map((id) => failure(cloud.provider.terminate(id, never)));
    for (const error of await Promise.all(ends)) expect(error).to.be.instanceOf(UnauthorizedError);
    expect(actions().filter((action) => action.startsWith("Terminate"))).to.have.length(1);
  });

  it("takes what EC2 has forgotten for gone after five minutes of asking", async () => {
    cloud = await createTestCloud();
    const id = await start();
    cloud.ec2.shutDown(id);
    cloud.advance(3_600_000);
    expect(await cloud.provider.terminate(id, never)).to.equal("terminating");
    cloud.advance(299_000);
    expect(await cloud.provider.terminate(id, never)).to.equal("terminating");
    cloud.advance(1_000);
    expect(await cloud.provider.terminate(id, never)).to.equal("gone");
  });

  it("begins to count anew when the machine was seen in between", async () => {
    cloud = await createTestCloud({ consistencyDelayMs: 20_000 });
    const id = await start();
    expect(await cloud.provider.terminate(id, never)).to.equal("terminating");
    cloud.advance(20_000);
    expect(await cloud.provider.terminate(id, never)).to.equal("terminating");
    cloud.advance(3_600_000);
    expect(await cloud.provider.terminate(id, never)).to.equal("terminating");
  });
});
