import { once } from "node:events";
import { RateLimitedError, UNLIMITED } from "@grp/core";
import { AWS_THROTTLES } from "@grp/sandbox/ec2";
import { expect } from "chai";
import { startRedis, type TestRedis } from "../../../../test/support/redis.ts";
import { createBudget } from "../../../ledger/src/index.ts";
import { createRedis } from "../../../runtime/src/index.ts";
import { failure } from "../conformance/describe-provider.ts";
import { createTestCloud, type TestCloud } from "../testing/ec2-cloud.ts";
import { AWS_LIMITS, type Ec2Limits } from "./pace.ts";

const never = new AbortController().signal;

describe("EC2's buckets, by a budget in Redis,", () => {
  let redis: TestRedis;
  let client: ReturnType<typeof createRedis>;
  let cloud: TestCloud;
  let now: number;
  before(async () => {
    redis = await startRedis();
    client = createRedis(redis.url, { name: "grp-pace-test", onError: () => undefined });
    await once(client, "ready");
  });
  beforeEach(async () => {
    await client.flushall();
    now = Date.now();
    await open(AWS_THROTTLES);
  });
  afterEach(() => cloud.close());
  after(async () => {
    client.disconnect();
    await redis.stop();
  });

  const open = async (throttle: typeof AWS_THROTTLES, limits?: Ec2Limits) => {
    const budget = createBudget({ redis: client, now: () => now });
    cloud = await createTestCloud({ throttle }, { budget, ...(limits && { limits }) });
  };
  const advance = (ms: number) => {
    now += ms;
    cloud.advance(ms);
  };
  const launchNew = async (id: string, size: number) => {
    const admission = await cloud.provider.admit(cloud.order(id).offering, size);
    if (!("granted" in admission)) throw new Error(`no leave for ${id}`);
    const { granted, leave } = admission;
    return cloud.provider.launch({ ...cloud.order(id, granted), leave }, never);
  };
  const throttled = () => cloud.ec2.calls.filter(({ outcome }) => outcome === "RequestLimitExceeded").length;
  /** As the queue does after that error, until it has its machines; how many ms that took. */
  const goOn = async (id: string, size: number, refused: unknown) => {
    const begun = now;
    let tried = refused;
    for (let tries = 0; tries < 20 && tried instanceof RateLimitedError; tries++) {
      advance(tried.retryAfterMs);
      tried = await cloud.provider.launch(cloud.order(id, size), never).catch((error: unknown) => error);
    }
    expect(tried).to.be.an("array");
    return now - begun;
  };

  it("count a launch's machines at a placement for which our budget had none left", async () => {
    for (let at = 0; at < 9; at++) {
      await launchNew(`l-${at}`, 100);
      advance(500);
    }
    cloud.ec2.limitCapacity({ subnetId: "subnet-a" }, 0);
    // A hundred at the first placement, and as many at the second.
    const error = await failure(launchNew("l-9", 100));
    expect(error).to.be.instanceOf(RateLimitedError).and.to.have.property("code", "budget");
    // Younger ones would take each machine as it comes.
    expect(await cloud.provider.admit(cloud.order("l-10").offering, 1)).to.have.property("waitMs");
    expect(await goOn("l-9", 100, error)).to.be.within(45_000, 60_000);
    advance(10_000);
    await launchNew("l-11", 5);
    expect(throttled()).to.equal(0);
  });

  it("count them once more after EC2 refused, and waits for them though newer ones take all there is", async () => {
    // Another tool of the account has emptied EC2's bucket, and ours knows nothing of it.
    const other = cloud.another({ budget: UNLIMITED });
    for (let at = 0; at < 10; at++) {
      await other.launch(cloud.order(`other-${at}`, 100), never);
      advance(500);
    }
    const tookMs = await goOn("l-1", 60, await failure(launchNew("l-1", 60)));
    // The first says that a bucket is empty; five seconds of them that the calls' is not ours alone; the next, that it is the
    // machines'.
    expect(throttled()).to.be.at.most(4);
    // At two a second, from nothing.
    expect(tookMs).to.be.within(30_000, 40_000);
  });

  it("have the machines back that EC2 refused to start or to end, until one is known to be empty", async () => {
    const tokens = async (name: string) =>
      Math.round(Number(await client.hget(`{grp}:limit:ec2:us-east-1:${name}`, "tokens")));
    const refuse = (action: string) => cloud.ec2.failNext("RequestLimitExceeded", { action });
    const machines = await launchNew("l-0", 100);
    refuse("TerminateInstances");
    await Promise.allSettled(machines.map(({ instanceId }) => cloud.provider.terminate(instanceId, never)));
    expect(await tokens("endedInstances")).to.equal(1_000);
    refuse("RunInstances");
    await failure(launchNew("l-1", 100));
    const seen = [await tokens("instances")];
    for (let tries = 0; tries < 3; tries++) {
      advance(3_000);
      refuse("RunInstances");
      await failure(cloud.provider.launch(cloud.order("l-1", 100), never));
      seen.push(await tokens("instances"));
    }
    // Six machines come in in three seconds.
    expect(seen).to.deep.equal([900, 906, 912, 0]);
    // At two a second, from nothing: what was refused has not to be waited for.
    const error = await failure(cloud.provider.launch(cloud.order("l-1", 100), never));
    expect(await goOn("l-1", 100, error)).to.be.within(50_000, 55_000);
  });

  it("have those back that EC2 refused to start after they had waited to be counted", async () => {
    await launchNew("l-0", 100);
    await client.hset("{grp}:limit:ec2:us-east-1:instances", "tokens", 0);
    const { offering } = cloud.order("l-1");
    const reserved = await failure(cloud.provider.launch(cloud.order("l-1", 100), never));
    expect(reserved).to.have.property("code", "budget");
    advance(60_000);
    cloud.ec2.failNext("RequestLimitExceeded", { action: "RunInstances" });
    await failure(cloud.provider.launch(cloud.order("l-1", 100), never));
    advance(2_500);
    expect(await cloud.provider.admit(offering, 200)).to.have.property("granted", 125);
  });

  it("are told apart by what other processes were refused", async () => {
    const another = cloud.another({ budget: createBudget({ redis: client, now: () => now }) });
    const factors = () =>
      Promise.all(
        ["RunInstances", "instances"].map((name) =>
          client.hget(`{grp}:limit:ec2:us-east-1:${name}`, "factor"),
        ),
      );
    const refuse = async (provider: TestCloud["provider"], id: string) => {
      cloud.ec2.failNext("RequestLimitExceeded", { action: "RunInstances" });
      await failure(provider.launch(cloud.order(id), never));
    };
    // Two that were under way together.
    await refuse(cloud.provider, "l-1");
    await refuse(another, "l-2");
    const tokens = () => client.hget("{grp}:limit:ec2:us-east-1:instances", "tokens");
    expect(await factors()).to.deep.equal([null, null]);
    advance(10_000);
    await refuse(another, "l-2");
    expect([await factors(), Number(await tokens()) > 900]).to.deep.equal([["0.5", null], true]);
    advance(10_000);
    await refuse(another, "l-2");
    expect([(await factors())[1], await tokens()]).to.deep.equal([null, "0"]);
    advance(10_000);
    await refuse(cloud.provider, "l-1");
    expect((await factors())[1]).to.equal("0.5");
  });

  it("are asked for one call less at once than AWS takes, and no slower after that", async () => {
    const { offering } = cloud.order("l-1");
    const admit = async () => "granted" in (await cloud.provider.admit(offering, 1));
    const burst = [await admit(), await admit(), await admit(), await admit(), await admit()];
    expect(burst).to.deep.equal([true, true, true, true, false]);
    for (let call = 0; call < 4; call++) {
      advance(500);
      expect([await admit(), await admit()]).to.deep.equal([true, false]);
    }
  });

  it("hold back the end of many machines, and AWS refuses none", async () => {
    await cloud.close();
    const resource = { max: 20, refillPerSecond: 1 };
    await open(
      { TerminateInstances: { request: { max: 100, refillPerSecond: 5 }, resource } },
      { ...AWS_LIMITS, endedInstances: { burst: 20, perSecond: 1 } },
    );
    const machines = await launchNew("l-1", 60);
    let left = machines.map(({ instanceId }) => instanceId);
    const rounds: number[] = [];
    while (left.length > 0 && rounds.length < 5) {
      const ends = await Promise.allSettled(left.map((id) => cloud.provider.terminate(id, never)));
      left = left.filter((_id, at) => ends[at]?.status === "rejected");
      rounds.push(left.length);
      for (const end of ends)
        if (end.status === "rejected") expect(end.reason).to.include({ code: "budget" });
      advance(25_000);
    }
    expect(rounds).to.deep.equal([40, 20, 0]);
    expect(throttled()).to.equal(0);
  });
});
