import { expect } from "chai";
import { HOUR, makeRunner, makeWorld } from "../../testing/world.ts";
import { maxRuntime } from "./max-runtime.ts";

describe("rule max-runtime", () => {
  it("ends a runner that has run for longer than its class allows", () => {
    const runners = [makeRunner("busy", 7 * HOUR)];
    expect(maxRuntime.judge(makeWorld({ runners }))).to.have.nested.property("[0].reason", "max-runtime");
  });

  it("leaves alone who is within it", () => {
    expect(maxRuntime.judge(makeWorld({ runners: [makeRunner("busy", 6 * HOUR)] }))).to.deep.equal([]);
  });

  it("holds a class that left the catalog to the limits of one that says nothing", () => {
    const judge = (hours: number) =>
      maxRuntime.judge(makeWorld({ runners: [makeRunner("busy", hours * HOUR, { runnerClass: "gone" })] }));
    expect(judge(7)).to.have.length(1);
    expect(judge(6)).to.deep.equal([]);
  });
});
