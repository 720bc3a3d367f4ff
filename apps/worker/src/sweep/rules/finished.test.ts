import { expect } from "chai";
import { HOUR, MINUTE, makeRunner, makeWorld } from "../../testing/world.ts";
import { finished } from "./finished.ts";

describe("rule finished", () => {
  it("ends a machine whose runner is finished and that is not known to be gone", () => {
    expect(finished.judge(makeWorld({ runners: [makeRunner("finished", HOUR)] }))).to.deep.equal([
      {
        kind: "end",
        runnerName: "grp-0123456789abcdef01234567-0",
        launchId: "l-0123456789abcdef01234567",
        provider: "ec2",
        instanceId: "i-1",
        reason: "finished",
      },
    ]);
  });

  it("lets it end by itself first", () => {
    expect(finished.judge(makeWorld({ runners: [makeRunner("finished", MINUTE)] }))).to.deep.equal([]);
  });
});
