import { clientToken } from "@grp/core";
import { expect } from "chai";
import { testOrder } from "../testing/order.ts";
import { formatPlacement, formatStanding, parseStanding, placementsFrom } from "./placement.ts";

describe("placements", () => {
  const { offering } = testOrder("l-1");
  const texts = (start?: string) =>
    placementsFrom(offering, "ami-1", parseStanding(start)).map(formatPlacement);

  it("are every type in every subnet, types first", () => {
    expect(texts()).to.deep.equal([
      "subnet-a|t4g.large|ami-1",
      "subnet-b|t4g.large|ami-1",
      "subnet-a|m7g.large|ami-1",
      "subnet-b|m7g.large|ami-1",
    ]);
  });

  it("go round from where the last try stood, each once", () => {
    expect(texts("subnet-a|m7g.large|ami-1")).to.deep.equal([
      "subnet-a|m7g.large|ami-1",
      "subnet-b|m7g.large|ami-1",
      "subnet-a|t4g.large|ami-1",
      "subnet-b|t4g.large|ami-1",
    ]);
  });

  it("begin with one that the catalog has lost", () => {
    expect(texts("subnet-z|t4g.large|ami-1")).to.deep.equal(["subnet-z|t4g.large|ami-1", ...texts()]);
  });

  it("read back what was written, and nothing else", () => {
    const placement = { subnet: "subnet-a", instanceType: "t4g.large", imageId: "ami-1" };
    expect(parseStanding(formatStanding(placement))).to.deep.equal(placement);
    const owed = { ...placement, isOwed: true };
    expect(parseStanding(formatStanding(owed))).to.deep.equal(owed);
    for (const text of [undefined, "", "subnet-a", "subnet-a|t4g.large", "a|b|c|d", "|b|c"])
      expect(parseStanding(text)).to.equal(undefined);
  });

  it("give tokens of their own that never change", () => {
    const tokens = texts().map((text) => clientToken("l-1", text));
    expect(new Set(tokens).size).to.equal(4);
    expect(tokens).to.deep.equal(texts().map((text) => clientToken("l-1", text)));
    for (const token of tokens) expect(token).to.have.length(64);
  });
});
