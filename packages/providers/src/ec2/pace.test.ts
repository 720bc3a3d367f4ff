import type { Budget, Limit, SpendVerdict, Way } from "@grp/core";
import { RateLimitedError } from "@grp/core";
import { expect } from "chai";
import { failure } from "../conformance/describe-provider.ts";
import { createTestCloud, IMAGE } from "../testing/ec2-cloud.ts";

const never = new AbortController().signal;
const GRANTED = { granted: true, way: 0, amount: 1, afterMs: 0, lease: "", at: 7 } as const;

/** A budget that writes down what is spent and answers as told. */
function createBudget(verdict: () => SpendVerdict = () => GRANTED) {
  const spent: string[] = [];
  const slowed: string[] = [];
  const refunded: string[] = [];
  const describe = (charges: Way = []) =>
    charges.map(({ limit, cost, borrow }) => `${limit.name} ${cost}${borrow ? " borrowed" : ""}`).join(", ");
  const budget: Budget = {
    async spend(spending) {
      spent.push(describe(spending.ways[0]));
      const [charges = []] = spending.ways;
      const answer = verdict();
      return answer.granted ? { ...answer, amount: charges.at(-1)?.cost ?? 0 } : answer;
    },
    giveBack: async () => undefined,
    refund: async (charges, grantedAt) => {
      refunded.push(`${describe(charges)}, granted at ${grantedAt}`);
    },
    slowDown: async (limits: readonly Limit[], pauseMs) => {
      slowed.push(...limits.map(({ name }) => `${name} ${pauseMs}`));
      return {};
    },
  };
  return { budget, spent, slowed, refunded };
}

type Cloud = Awaited<ReturnType<typeof createTestCloud>>;

async function admitted({ provider, order }: Cloud, wanted: number) {
  const admission = await provider.admit(order("l-1").offering, wanted);
  if (!("granted" in admission)) throw new Error(`waits for ${admission.waitMs} ms`);
  return admission;
}

describe("EC2's pace", () => {
  it("counts each call in its region's bucket, and machines too", async () => {
    const { budget, spent } = createBudget();
    const cloud = await createTestCloud({}, { budget });
    cloud.ec2.limitCapacity({ subnetId: "subnet-a" }, 0);
    const order = cloud.order("l-1", 7, { image: { id: IMAGE } });
    const { leave } = await admitted(cloud, 7);
    const [instance] = await cloud.provider.launch({ ...order, leave }, never);
    await cloud.provider.terminate(instance?.instanceId ?? "", never);
    await cloud.provider.launch(cloud.order("l-1", 7, { image: { id: IMAGE } }), never);
    expect(spent).to.deep.equal([
      "ec2:us-east-1:RunInstances 1, ec2:us-east-1:instances 7",
      // The admitted call was refused for want of room; this is the next placement's.
      "ec2:us-east-1:RunInstances 1, ec2:us-east-1:instances 7",
      "ec2:us-east-1:DescribeInstances 1",
      "ec2:us-east-1:TerminateInstances 1, ec2:us-east-1:endedInstances 1",
      // The same launch again: its machines were counted.
      "ec2:us-east-1:RunInstances 1",
    ]);
    await cloud.close();
  });

  it("holds a call back for a while, and gives the work back when it would be long", async () => {
    let verdict: SpendVerdict = { ...GRANTED, afterMs: 60 };
    const { budget } = createBudget(() => verdict);
    const cloud = await createTestCloud({}, { budget });
    const begun = performance.now();
    await cloud.provider.launch(cloud.order("l-1"), never);
    expect(performance.now() - begun).to.be.at.least(59);
    verdict = { granted: false, waitMs: 20_000 };
    const calls = cloud.ec2.calls.length;
    const error = await failure(cloud.provider.launch(cloud.order("l-2"), never));
    expect(error).to.be.instanceOf(RateLimitedError).and.to.include({ isShared: true, retryAfterMs: 25_000 });
    expect(cloud.ec2.calls).to.have.length(calls);
    const { offering } = cloud.order("l-3");
    expect(await cloud.provider.admit(offering, 3)).to.deep.equal({ waitMs: 20_000 });
    verdict = { granted: false, waitMs: 400, lacks: 0 };
    const ofCalls = { name: "ec2:us-east-1:RunInstances", everyMs: 500, machines: 100 };
    expect(await cloud.provider.admit(offering, 3)).to.deep.equal({ waitMs: 400, shortage: ofCalls });
    verdict = { granted: false, waitMs: 400, lacks: 1 };
    const ofMachines = { name: "ec2:us-east-1:instances", everyMs: 500, machines: 1 };
    expect(await cloud.provider.admit(offering, 3)).to.deep.equal({ waitMs: 400, shortage: ofMachines });
    await cloud.close();
  });

  it("tells everybody when AWS says it was too much", async () => {
    const { budget, slowed } = createBudget();
    const cloud = await createTestCloud({}, { budget });
    cloud.ec2.failNext("RequestLimitExceeded", { action: "RunInstances" });
    const error = await failure(cloud.provider.launch(cloud.order("l-1"), never));
    expect(error).to.be.instanceOf(RateLimitedError).and.to.include({ isShared: true });
    expect(slowed).to.deep.equal(["ec2:us-east-1:RunInstances 2500"]);
    await cloud.close();
  });

  it("gives the machines of a call that AWS refused back, and not the call", async () => {
    const { budget, refunded } = createBudget();
    const cloud = await createTestCloud({}, { budget });
    const { leave } = await admitted(cloud, 9);
    const [instance] = await cloud.provider.launch(cloud.order("l-0"), never);
    const refuse = (action: string) => cloud.ec2.failNext("RequestLimitExceeded", { action });
    refuse("RunInstances");
    await failure(cloud.provider.launch({ ...cloud.order("l-1", 9), leave }, never));
    refuse("TerminateInstances");
    await failure(cloud.provider.terminate(instance?.instanceId ?? "", never));
    refuse("DescribeInstances");
    await cloud.provider.list(never);
    expect(refunded).to.deep.equal([
      "ec2:us-east-1:instances 9, granted at 7",
      "ec2:us-east-1:endedInstances 1, granted at 7",
    ]);
    await cloud.close();
  });

  it("gives leave back for a call that is not made, and of one that is, what it does not need", async () => {
    const { budget, refunded } = createBudget();
    const cloud = await createTestCloud({}, { budget });
    const unused = await admitted(cloud, 9);
    unused.leave?.giveBack();
    const { leave } = await admitted(cloud, 9);
    await cloud.provider.launch({ ...cloud.order("l-1", 7), leave }, never);
    leave?.giveBack();
    expect(refunded).to.deep.equal([
      "ec2:us-east-1:RunInstances 1, ec2:us-east-1:instances 9, granted at 7",
      "ec2:us-east-1:instances 2, granted at 7",
    ]);
    await cloud.close();
  });

  it("asks no leave for an offering of which every placement is remembered as full", async () => {
    const { budget, spent } = createBudget();
    const cloud = await createTestCloud({}, { budget });
    cloud.ec2.limitCapacity({}, 0);
    await failure(cloud.provider.launch(cloud.order("l-1"), never));
    spent.splice(0);
    expect(await admitted(cloud, 100)).to.deep.equal({ granted: 100 });
    expect(spent).to.deep.equal([]);
    cloud.advance(20_000);
    expect(await admitted(cloud, 100)).to.have.property("leave");
    await cloud.close();
  });
});
