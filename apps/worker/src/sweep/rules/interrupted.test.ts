import { expect } from "chai";
import { HOUR, MINUTE, makeNote, makeRunner, makeWorld } from "../../testing/world.ts";
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
});
