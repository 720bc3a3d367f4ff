import { expect } from "chai";
import { makeWorld } from "../../testing/world.ts";
import { staleCap } from "./stale-cap.ts";

describe("rule stale-cap", () => {
  it("forgets the limit of what left the catalog, once it is unused", () => {
    const cap = (name: string, used = 0, waiting = 0) => ({ name, limit: 2, used, waiting });
    const caps = [
      cap("class:linux"),
      cap("class:gone"),
      cap("class:leaving", 1),
      cap("class:waiting", 0, 1),
      cap("class:gone|acme/app"),
      cap("codemagic:default"),
      cap("codemagic:gone"),
      cap("owner:acme"),
    ];
    expect(staleCap.judge(makeWorld({ caps }))).to.deep.equal([
      { kind: "forget-cap", name: "class:gone" },
      { kind: "forget-cap", name: "codemagic:gone" },
    ]);
  });
});
