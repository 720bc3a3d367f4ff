import { expect } from "chai";
import { MINUTE, makeRunner, makeWorld, NAME, register } from "../../testing/world.ts";
import { catchUp } from "./catch-up.ts";

describe("rule catch-up", () => {
  const judge = (step: Parameters<typeof makeRunner>[0], registered = register({ busy: true })) =>
    catchUp.judge(makeWorld({ runners: [makeRunner(step, MINUTE)], registered }));

  it("records what GitHub knows and nobody told us", () => {
    expect(judge("claimed", register({}))).to.deep.equal([
      { kind: "record-step", runnerName: NAME, step: "online" },
    ]);
    expect(judge("online")).to.deep.equal([{ kind: "record-step", runnerName: NAME, step: "busy" }]);
  });

  it("never takes a runner back to an earlier step", () => {
    expect(judge("busy", register({}))).to.deep.equal([]);
    expect(judge("finished")).to.deep.equal([]);
    expect(judge("claimed", register({ status: "offline" }))).to.deep.equal([]);
  });
});
