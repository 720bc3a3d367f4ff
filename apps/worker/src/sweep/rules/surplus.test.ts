import { expect } from "chai";
import { HOUR, MINUTE, makeCount, makeRunner, makeWorld, register } from "../../testing/world.ts";
import type { World } from "../world.ts";
import { surplus } from "./surplus.ts";

describe("rule surplus", () => {
  const idle = (name: string, agoMs: number) => makeRunner("online", agoMs, { runnerName: name });

  it("ends as many idle runners as are too many, the longest idle first", () => {
    const runners = [idle("a", 3 * MINUTE), idle("b", 4 * MINUTE), idle("c", 3 * MINUTE)];
    const deeds = surplus.judge(makeWorld({ registered: register(), runners, counts: [makeCount(2, 3)] }));
    expect(deeds).to.have.length(1);
    expect(deeds[0]).to.deep.include({ kind: "retire", runner: runners[1], reason: "surplus" });
  });

  it("ends none that is wanted, busy, booting or idle for a moment only", () => {
    const runners = [makeRunner("busy", HOUR), makeRunner("booted", HOUR), idle("a", MINUTE)];
    const judge = (world: Partial<World>) => surplus.judge(makeWorld({ registered: register(), ...world }));
    expect(judge({ runners, counts: [makeCount(0, 3)] })).to.deep.equal([]);
    expect(judge({ runners: [idle("a", HOUR)], counts: [makeCount(1, 1)] })).to.deep.equal([]);
  });

  it("lets one be that GitHub calls busy, though no delivery has said so", () => {
    const judge = (busy: boolean) =>
      surplus.judge(
        makeWorld({
          runners: [makeRunner("online", HOUR)],
          counts: [makeCount(0, 1)],
          registered: register({ busy }),
        }),
      );
    expect(judge(true)).to.deep.equal([]);
    expect(judge(false)).to.have.length(1);
  });
});
