import { expect } from "chai";
import { MINUTE, makeRunner, makeWorld } from "../../testing/world.ts";
import { leakedPlace } from "./leaked-place.ts";

describe("rule leaked-place", () => {
  it("gives back a place whose holder has neither a machine nor a queue job", () => {
    const holders = [
      { holder: "wfj-1", provider: "ec2" as const, isUnderWay: false },
      { holder: "wfj-2", provider: "ec2" as const, isUnderWay: true },
      { holder: "wfj-3", provider: "ec2" as const, isUnderWay: false },
    ];
    const runners = [makeRunner("busy", MINUTE, { placeHolder: "wfj-1" })];
    const deeds = leakedPlace.judge(makeWorld({ holders, runners }));
    expect(deeds).to.deep.equal([{ kind: "release-place", holder: "wfj-3" }]);
  });
});
