import { expect } from "chai";
import { createFates, type Fate } from "./disturbance.ts";

describe("createFates", () => {
  const draw = (seed: number): Fate[] => {
    const next = createFates({ drop: 0.2, duplicate: 0.5, delayUpToMs: 100, seed });
    return Array.from({ length: 1_000 }, next);
  };

  it("spoils the same deliveries in the same way for the same seed", () => {
    expect(draw(7)).to.deep.equal(draw(7));
    expect(draw(7)).not.to.deep.equal(draw(8));
  });

  it("keeps to its chances", () => {
    const fates = draw(1);
    expect(fates.filter(({ isDropped }) => isDropped).length).to.be.within(150, 250);
    expect(fates.filter(({ isDuplicated }) => isDuplicated).length).to.be.within(440, 560);
    expect(Math.max(...fates.map(({ delayMs }) => delayMs))).to.be.within(95, 100);
  });

  it("spoils nothing unless told to", () => {
    expect(createFates({})()).to.deep.equal({ isDropped: false, isDuplicated: false, delayMs: 0 });
  });
});
