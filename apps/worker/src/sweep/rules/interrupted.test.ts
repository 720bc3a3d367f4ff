import { expect } from "chai";
import { HOUR, MINUTE, makeInstance, makeNote, makeRunner, makeWorld } from "../../testing/world.ts";
import { interrupted } from "./interrupted.ts";

describe("rule interrupted", () => {
  const notes = [makeNote("interrupted", 0)];

  it("replaces a machine that the provider takes back before a workflow job has begun on it", () => {
    const runners = [makeRunner("online", MINUTE, { notes })];
    expect(interrupted.judge(makeWorld({ runners }))).to.have.nested.property("[0].reason", "interrupted");
  });

  it("lets a busy one do what it can", () => {
    const runners = [makeRunner("busy", HOUR, { notes }), makeRunner("online", MINUTE)];
    expect(interrupted.judge(makeWorld({ runners }))).to.deep.equal([]);
  });

  it("believes a notice that any machine of its launch may have given when the provider's list bears it out", () => {
    const runner = makeRunner("booted", HOUR, { notes: [makeNote("notice", 0)] });
    const judge = (...listed: ReturnType<typeof makeInstance>[]) =>
      interrupted.judge(makeWorld({ runners: [runner], instances: new Map([["ec2", listed]]) }));
    expect(judge(makeInstance(HOUR))).to.deep.equal([]);
    expect(judge(makeInstance(HOUR, { state: "terminating" }))).to.have.nested.property("[0].kind", "retire");
    expect(judge()).to.have.nested.property("[0].reason", "interrupted");
    const young = makeRunner("booted", MINUTE, { notes: runner.notes });
    expect(interrupted.judge(makeWorld({ runners: [young] }))).to.deep.equal([]);
    expect(interrupted.judge(makeWorld({ runners: [runner], instances: new Map() }))).to.deep.equal([]);
  });
});
