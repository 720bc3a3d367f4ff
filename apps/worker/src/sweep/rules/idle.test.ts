import { expect } from "chai";
import { HOUR, MINUTE, makeRunner, makeWorld, register } from "../../testing/world.ts";
import { idle } from "./idle.ts";

describe("rule idle", () => {
  it("ends a runner past its class's idle limit", () => {
    for (const step of ["claimed", "online"] as const)
      expect(
        idle.judge(makeWorld({ registered: register(), runners: [makeRunner(step, HOUR)] })),
      ).to.have.nested.property("[0].kind", "retire");
  });

  it("leaves alone who is busy, who boots, and who has not been idle for so long", () => {
    const runners = [makeRunner("busy", HOUR), makeRunner("booted", HOUR), makeRunner("online", 5 * MINUTE)];
    expect(idle.judge(makeWorld({ registered: register(), runners }))).to.deep.equal([]);
  });

  it("gives a class that left the catalog the time of one that says nothing", () => {
    const judge = (minutes: number) =>
      idle.judge(
        makeWorld({
          registered: register(),
          runners: [makeRunner("online", minutes * MINUTE, { runnerClass: "gone" })],
        }),
      );
    expect(judge(5)).to.deep.equal([]);
    expect(judge(8)).to.have.length(1);
  });

  it("lets one be that GitHub calls busy, though no delivery has said so, or that it was not asked of", () => {
    const judge = (busy: boolean) =>
      idle.judge(makeWorld({ runners: [makeRunner("online", HOUR)], registered: register({ busy }) }));
    expect(judge(true)).to.deep.equal([]);
    expect(idle.judge(makeWorld({ runners: [makeRunner("online", HOUR)] }))).to.deep.equal([]);
    expect(judge(false)).to.have.length(1);
  });
});
