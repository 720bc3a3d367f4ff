import { expect } from "chai";
import { HOUR, MINUTE, makeCount, makeRunner, makeWorld } from "../../testing/world.ts";
import { surplus } from "./surplus.ts";

describe("rule surplus", () => {
  const idle = (name: string, agoMs: number) => makeRunner("online", agoMs, { runnerName: name });

  it("ends as many idle runners as are too many, the longest idle first", () => {
    const runners = [idle("a", 3 * MINUTE), idle("b", 4 * MINUTE), idle("c", 3 * MINUTE)];
    const deeds = surplus.judge(makeWorld({ runners, counts: [makeCount(2, 3)] }));
    expect(deeds).to.have.length(1);
    expect(deeds[0]).to.include({ kind: "end", runnerName: "b", reason: "surplus" });
  });

  it("ends none that is wanted, busy, booting or idle for a moment only", () => {
    const runners = [makeRunner("busy", HOUR), makeRunner("booted", HOUR), idle("a", MINUTE)];
    expect(surplus.judge(makeWorld({ runners, counts: [makeCount(0, 3)] }))).to.deep.equal([]);
    expect(surplus.judge(makeWorld({ runners: [idle("a", HOUR)], counts: [makeCount(1, 1)] }))).to.deep.equal(
      [],
    );
  });
});
