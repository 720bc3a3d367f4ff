import { expect } from "chai";
import { MINUTE, makeRunner, makeWorld, NAME, register } from "../../testing/world.ts";
import { ghost } from "./ghost.ts";

describe("rule ghost", () => {
  it("deregisters an offline runner of our name that has no live record", () => {
    const [deed] = ghost.judge(makeWorld({ registered: register({ status: "offline" }) }));
    expect(deed).to.include({ kind: "deregister", runnerId: 7, name: NAME });
  });

  it("touches nobody else's runners, none that is online or busy, and none that is on its way", () => {
    const others = register(
      { status: "offline", name: "grp-of-somebody" },
      { status: "offline", name: "other-0123456789abcdef01234567-0" },
      { status: "online" },
      { status: "offline", busy: true },
    );
    expect(ghost.judge(makeWorld({ registered: others }))).to.deep.equal([]);
    const world = makeWorld({
      registered: register({ status: "offline" }),
      runners: [makeRunner("claimed", MINUTE)],
    });
    expect(ghost.judge(world)).to.deep.equal([]);
  });
});
