import { LaunchSpentError, type ProvisionError } from "@grp/core";
import { expect } from "chai";
import { createTestCloud, type TestCloud } from "../testing/ec2-cloud.ts";

const SEEDS = 60;
const MAX_TRIES = 40;
const IMAGES = ["ami-0aa1000000000001", "ami-0aa1000000000003"];

/** Mulberry32: a failing seed fails again. */
function createDice(seed: number) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return {
    chance: (share: number) => next() < share,
    pick: <T>(items: readonly T[]) => items[Math.floor(next() * items.length)] as T,
  };
}

/**
 * What goes wrong, or changes, before a try. Refusals come from the room there is, never from a script: EC2 answers a
 * token it knows before it looks for room.
 */
function disturb({ ec2, advance }: TestCloud, { chance, pick }: ReturnType<typeof createDice>): void {
  for (const subnetId of ["subnet-a", "subnet-b", "subnet-c"])
    for (const instanceType of ["t4g.large", "m7g.large"])
      ec2.limitCapacity({ subnetId, instanceType }, chance(0.5) ? 0 : 10);
  if (chance(0.5)) ec2.loseNextResponse();
  if (chance(0.2)) ec2.failNext(pick(["InternalError", "RequestLimitExceeded", "Unavailable"]));
  const [parameter = ""] = Object.keys(ec2.parameters);
  if (chance(0.3)) ec2.setParameter(parameter, pick(IMAGES));
  if (chance(0.7)) advance(pick([1_000, 20_000, 400_000]));
}

describe("an EC2 launch among lost answers, changing room, changing images and changing catalogs", () => {
  it(`starts one machine for one order (${SEEDS} seeds)`, async function () {
    this.timeout(60_000);
    const never = new AbortController().signal;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const dice = createDice(seed);
      const cloud = await createTestCloud({ consistencyDelayMs: 15_000 });
      let launched: readonly string[] | undefined;
      for (let at = 0; at < MAX_TRIES && !launched; at++) {
        disturb(cloud, dice);
        const subnets = dice.pick([["subnet-a", "subnet-b"], ["subnet-b"], ["subnet-c", "subnet-a"]]);
        const order = cloud.order("l-chaos", 1, { subnets });
        const boot = { ...order.boot, ticket: dice.chance(0.1) ? "rotated" : "grp1.ticket" };
        launched = await cloud
          .another()
          .launch({ ...order, boot }, never)
          .then((instances) => instances.map((one) => one.instanceId))
          .catch((error: ProvisionError) => {
            expect(error.errorClass, `seed ${seed}: ${error.stack}`).to.be.oneOf([
              "no-capacity",
              "transient",
              "rate-limited",
            ]);
            expect(error, `seed ${seed}`).to.not.be.instanceOf(LaunchSpentError);
            return undefined;
          });
      }
      const started = cloud.ec2.instances().map((machine) => machine.instanceId);
      expect(started, `seed ${seed}`).to.deep.equal(launched);
      await cloud.close();
    }
  });

  it("starts one machine for one order asked by several workers at once", async () => {
    const never = new AbortController().signal;
    const cloud = await createTestCloud();
    const all = await Promise.all(
      Array.from({ length: 5 }, () => cloud.another().launch(cloud.order("l-1"), never)),
    );
    expect(new Set(all.flat().map((one) => one.instanceId)).size).to.equal(1);
    expect(cloud.ec2.instances()).to.have.length(1);
    await cloud.close();
  });
});
