import type { LaunchRecord } from "@grp/ledger";
import { expect } from "chai";
import { HOUR, MINUTE, makeInstance, makeWorld } from "../../testing/world.ts";
import { stray } from "./stray.ts";

describe("rule stray", () => {
  const judge = (instance = makeInstance(HOUR), launch: Partial<LaunchRecord> | null = null) =>
    stray.judge(makeWorld({ strays: [{ instance, launch: launch as LaunchRecord | null }] }));

  it("ends an instance with our tag that no live runner owns", () => {
    const end = {
      kind: "end",
      runnerName: "stray-i-1",
      launchId: "l-1",
      provider: "ec2",
      instanceId: "i-1",
      reason: "stray",
    };
    expect(judge()).to.deep.equal([end]);
    expect(judge(makeInstance(HOUR), { state: "failed" })).to.deep.equal([end]);
    expect(judge(makeInstance(HOUR), { state: "launched" })).to.deep.equal([end]);
  });

  it("leaves alone one that is young, one that is ending, and one whose launch may still be answered", () => {
    expect(judge(makeInstance(MINUTE))).to.deep.equal([]);
    expect(judge(makeInstance(HOUR, { state: "terminating" }))).to.deep.equal([]);
    expect(judge(makeInstance(HOUR), { state: "open" })).to.deep.equal([]);
  });
});
