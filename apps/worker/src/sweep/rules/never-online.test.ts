import { expect } from "chai";
import { HOUR, MINUTE, makeRunner, makeWorld, NAME, register } from "../../testing/world.ts";
import { neverOnline } from "./never-online.ts";

describe("rule never-online", () => {
  const runners = [makeRunner("claimed", HOUR)];

  it("retires a runner that claimed and that GitHub does not see online", () => {
    for (const registered of [register(), register({ name: NAME, status: "offline" })])
      expect(neverOnline.judge(makeWorld({ runners, registered }))).to.have.nested.property(
        "[0].reason",
        "never-online",
      );
  });

  it("judges nobody whom GitHub sees online, whom it calls busy, or of whom it could not be asked", () => {
    for (const registered of [register({}), register({ status: "offline", busy: true }), new Map()])
      expect(neverOnline.judge(makeWorld({ runners, registered }))).to.deep.equal([]);
  });

  it("gives it time to fetch the runner program", () => {
    const young = [makeRunner("claimed", 5 * MINUTE)];
    expect(neverOnline.judge(makeWorld({ runners: young, registered: register() }))).to.deep.equal([]);
  });
});
