import { expect } from "chai";
import { HOUR, MINUTE, makeRunner, makeWorld } from "../../testing/world.ts";
import { idle } from "./idle.ts";

describe("rule idle", () => {
  it("ends a runner past its class's idle limit", () => {
    for (const step of ["claimed", "online"] as const)
      expect(idle.judge(makeWorld({ runners: [makeRunner(step, HOUR)] }))).to.have.nested.property(
        "[0].reason",
        "idle",
      );
  });

  it("leaves alone who is busy, who boots, and who has not been idle for so long", () => {
    const runners = [makeRunner("busy", HOUR), makeRunner("booted", HOUR), makeRunner("online", 5 * MINUTE)];
    expect(idle.judge(makeWorld({ runners }))).to.deep.equal([]);
  });
});
