import { scopeKey } from "@grp/core";
import type { GitHubRunner } from "@grp/github";
import type { LaunchRecord } from "@grp/ledger";
import { expect } from "chai";
import { SCOPE } from "../../testing/harness.ts";
import { HOUR, MINUTE, makeInstance, makeWorld, NAME } from "../../testing/world.ts";
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

  describe("of a scope that is known", () => {
    const launchId = "l-0123456789abcdef01234567";
    const judgeAsked = (
      runners: readonly Partial<GitHubRunner>[] | undefined,
      hours = 1,
      runnerClass = "linux",
    ) => {
      const instance = makeInstance(hours * HOUR, { launchId, scope: scopeKey(SCOPE), runnerClass });
      const registered = runners as readonly GitHubRunner[] | undefined;
      const one = { instance, launch: null, ...(registered ? { registered } : {}) };
      return stray.judge(makeWorld({ strays: [one] }));
    };

    it("is left alone while a runner of its launch is busy, and while GitHub can't be asked", () => {
      expect(judgeAsked([{ name: NAME, busy: true }])).to.deep.equal([]);
      expect(judgeAsked(undefined)).to.deep.equal([]);
    });

    it("is ended when its launch's runners are idle or gone, whoever else is busy", () => {
      expect(judgeAsked([{ name: NAME, busy: false }])).to.have.length(1);
      expect(judgeAsked([{ name: NAME.replace("0123", "3210"), busy: true }])).to.have.length(1);
    });

    it("is ended when no machine of its class may be so old, or of one that the catalog does not have", () => {
      const busy = [{ name: NAME, busy: true }];
      for (const runnerClass of ["linux", "gone"]) {
        expect(judgeAsked(busy, 6, runnerClass)).to.deep.equal([]);
        expect(judgeAsked(busy, 7, runnerClass)).to.have.length(1);
      }
    });
  });
});
