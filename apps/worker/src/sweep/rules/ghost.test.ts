import { expect } from "chai";
import { HOUR, MINUTE, makeRunner, makeWorld, NAME, register } from "../../testing/world.ts";
import type { World } from "../world.ts";
import { ghost } from "./ghost.ts";

describe("rule ghost", () => {
  const seenFor = (agoMs: number) => new Map([["repo:acme/app#7", makeWorld().now - agoMs]]);

  it("deregisters an offline runner of our name that has no live record, a grace time after it was first seen", () => {
    const judge = (ghosts: World["ghosts"]) =>
      ghost.judge(makeWorld({ registered: register({ status: "offline" }), ghosts }));
    expect(judge(new Map())).to.deep.equal([]);
    expect(judge(seenFor(MINUTE))).to.deep.equal([]);
    expect(judge(seenFor(3 * MINUTE))[0]).to.include({ kind: "deregister", runnerId: 7, name: NAME });
  });

  it("touches nobody else's runners, none that is online or busy, and none that is on its way", () => {
    const others = register(
      { status: "offline", name: "grp-of-somebody" },
      { status: "offline", name: "other-0123456789abcdef01234567-0" },
      { status: "online" },
      { status: "offline", busy: true },
    );
    expect(ghost.judge(makeWorld({ registered: others, ghosts: seenFor(HOUR) }))).to.deep.equal([]);
    const world = makeWorld({
      registered: register({ status: "offline" }),
      ghosts: seenFor(HOUR),
      runners: [makeRunner("claimed", MINUTE)],
    });
    expect(ghost.judge(world)).to.deep.equal([]);
  });
});
