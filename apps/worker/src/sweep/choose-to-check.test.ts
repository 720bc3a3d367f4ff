import { expect } from "chai";
import { makeOpen } from "../testing/world.ts";
import { createChooser } from "./choose-to-check.ts";

const NOW = 1_800_000_000_000;

describe("createChooser", () => {
  let now: number;
  beforeEach(() => {
    now = NOW;
  });
  const records = (count: number) =>
    Array.from({ length: count }, (_, at) => makeOpen(600_000 - at, { id: at + 1 }).record);
  const keysOf = (chosen: readonly { key: string }[]) => chosen.map(({ key }) => key);

  it("chooses those not asked for the longest time, five a round, each again after five minutes", () => {
    const choose = createChooser(() => now);
    const all = records(12);
    const rounds = Array.from({ length: 14 }, () => {
      const keys = keysOf(choose(all));
      now += 30_000;
      return keys;
    });
    expect(rounds.map((keys) => keys.length)).to.deep.equal([5, 5, 2, 0, 0, 0, 0, 0, 0, 0, 5, 5, 2, 0]);
    expect(rounds.slice(0, 3).flat()).to.deep.equal(keysOf(all));
    expect(rounds.slice(10, 13).flat()).to.deep.equal(keysOf(all));
  });

  it("chooses none that has waited for less than five minutes", () => {
    const choose = createChooser(() => now);
    expect(choose([makeOpen(299_000).record])).to.deep.equal([]);
    expect(choose([makeOpen(300_000).record])).to.have.length(1);
  });

  it("goes on where it was after a round with nothing to choose from", () => {
    const choose = createChooser(() => now);
    const all = records(12);
    const asked = Array.from({ length: 3 }, () => {
      const keys = keysOf(choose(all));
      choose([]);
      now += 600_000;
      return keys;
    });
    expect(new Set(asked.flat()).size).to.equal(12);
  });

  it("forgets who is open no more", () => {
    const choose = createChooser(() => now);
    const [first, second] = records(2);
    if (!first || !second) throw new Error("no records");
    expect(choose([first])).to.have.length(1);
    choose([second]);
    expect(keysOf(choose([first]))).to.deep.equal([first.key]);
  });
});
