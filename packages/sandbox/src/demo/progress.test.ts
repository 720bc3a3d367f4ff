import { expect } from "chai";
import { toProgress } from "./progress.ts";

describe("toProgress", () => {
  const timeline = [
    { step: "queued", at: 0, elapsedMs: -5 },
    { step: "received", at: 5, elapsedMs: 0 },
    { step: "launched", at: 25, elapsedMs: 20 },
  ];

  const explanation = { whereNow: "a machine boots" };

  it("takes the steps and the runner from ops' answer", () => {
    const runner = { runnerName: "grp-1-0", provider: "ec2", instanceId: "i-1", step: "launched" };
    const progress = toProgress({ timeline, runner, notes: [], explanation });
    expect([...progress.elapsedMs]).to.deep.equal([
      ["received", 0],
      ["launched", 20],
    ]);
    expect(progress.runner?.instanceId).to.equal("i-1");
  });

  it("says why a demand failed", () => {
    const progress = toProgress({ timeline, failure: { message: "no capacity" }, explanation });
    expect([progress.failure, progress.now]).to.deep.equal(["no capacity", "a machine boots"]);
  });
});
