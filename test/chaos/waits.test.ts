import { expect } from "chai";
import { coveredMs, whenFull } from "./waits.ts";

describe("waits of a chaos run", () => {
  it("count what covers a span once, and only inside of it", () => {
    const spans = [
      { from: 0, until: 20 },
      { from: 15, until: 30 },
      { from: 50, until: 60 },
      { from: 90, until: 200 },
    ];
    expect(coveredMs(spans, { from: 10, until: 100 })).to.equal(20 + 10 + 10);
    expect(coveredMs([], { from: 10, until: 100 })).to.equal(0);
    expect(coveredMs([{ from: 200, until: 300 }], { from: 10, until: 100 })).to.equal(0);
  });

  it("know when there was no room", () => {
    const spans = [
      { from: 0, until: 10 },
      { from: 5, until: 8 },
      { from: 8, until: 20 },
    ];
    expect(coveredMs(whenFull(spans, 2), { from: 0, until: 100 })).to.equal(5);
    expect(whenFull(spans, 3)).to.deep.equal([]);
  });
});
