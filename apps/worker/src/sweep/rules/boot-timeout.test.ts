import { expect } from "chai";
import { GRACE_MS, HOUR, MINUTE, makeRunner, makeWorld } from "../../testing/world.ts";
import { bootTimeout } from "./boot-timeout.ts";

describe("rule boot-timeout", () => {
  const judge = (...runners: ReturnType<typeof makeRunner>[]) => bootTimeout.judge(makeWorld({ runners }));

  it("retires a machine that has not claimed within its class's time", () => {
    const runner = makeRunner("booted", 10 * MINUTE + GRACE_MS + 1);
    expect(judge(runner)).to.have.deep.nested.property("[0].runner", runner);
    expect(judge(runner)).to.have.nested.property("[0].reason", "boot-timeout");
  });

  it("waits for one that waits for its turn at GitHub's limits, and for no longer than it was told", () => {
    const { now } = makeWorld();
    const since = 10 * MINUTE + GRACE_MS + 1;
    const waiting = { ...makeRunner("booted", HOUR), comesBackAt: now - since + 2 };
    expect(judge(waiting)).to.deep.equal([]);
    expect(judge({ ...waiting, comesBackAt: now - since })).to.have.nested.property("[0].kind", "retire");
  });

  it("gives up a launch that its provider never answered", () => {
    expect(judge(makeRunner("launching", HOUR))).to.have.nested.property("[0].kind", "give-up-launch");
  });

  it("ends a machine that once claimed, though its provider never answered", () => {
    const claimant = makeRunner("launching", HOUR, { instanceId: "build-1" });
    expect(judge(claimant)).to.have.nested.property("[0].kind", "retire");
    const young = makeRunner("launching", 10 * MINUTE, { instanceId: "build-1" });
    expect(judge(young)).to.deep.equal([]);
  });

  it("leaves alone what may still boot, and what has claimed", () => {
    expect(judge(makeRunner("launched", 10 * MINUTE), makeRunner("launching", 10 * MINUTE))).to.deep.equal(
      [],
    );
    expect(judge(makeRunner("claimed", HOUR), makeRunner("busy", HOUR))).to.deep.equal([]);
  });

  it("gives a class that left the catalog the time of one that says nothing", () => {
    const gone = { runnerClass: "gone" };
    expect(
      judge(makeRunner("booted", 10 * MINUTE, gone), makeRunner("launching", 10 * MINUTE, gone)),
    ).to.deep.equal([]);
    expect(judge(makeRunner("booted", HOUR, gone))).to.have.nested.property("[0].kind", "retire");
  });
});
