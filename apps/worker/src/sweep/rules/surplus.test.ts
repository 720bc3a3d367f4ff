import type { RunnerRecord } from "@grp/ledger";
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

  it("ends no runner that is ready while the others only boot, and ends it once one of them is ready too", () => {
    const judge = (...others: readonly RunnerRecord[]) =>
      surplus.judge(
        makeWorld({
          registered: register(),
          runners: [idle("ready", 3 * MINUTE), ...others],
          counts: [makeCount(1, 1 + others.length)],
        }),
      );
    const booting = [makeRunner("booted", 2 * MINUTE), makeRunner("launched", 2 * MINUTE)];
    expect(judge(...booting)).to.deep.equal([]);
    const deeds = judge(idle("fresh", MINUTE / 2), ...booting);
    expect(deeds).to.have.length(1);
    expect(deeds[0]).to.have.nested.property("runner.runnerName", "ready");
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
