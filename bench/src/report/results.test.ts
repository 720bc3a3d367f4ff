import { expect } from "chai";
import type { Measure, Row } from "../row.ts";
import { medianOf, summarise } from "./results.ts";

const row = (name: string, more: Partial<Row> = {}): Row => ({
  ...{ name, about: "", unit: "deliveries/s", measure: () => Promise.reject(new Error("not measured here")) },
  ...more,
});
const found = (...values: number[]): Measure[] => values.map((value) => ({ value }));

describe("a bench's results", () => {
  it("take the median of the rounds", () => {
    expect(medianOf([9, 1, 5])).to.equal(5);
    expect(medianOf([4, 1, 2, 3])).to.equal(2.5);
  });

  it("compare each round with the baseline of the same round", () => {
    const rows = [row("bare"), row("ours", { baseline: "bare", target: { atLeast: 0.5 } })];
    // The machine was half as fast in the second round; the ratio was not.
    const measures = new Map([
      ["bare", found(1_000, 500, 900)],
      ["ours", found(600, 300, 540)],
    ]);
    const [, ours] = summarise(rows, measures);
    expect(ours).to.deep.include({ median: 540, ratio: 0.6, isMet: true, target: "≥ 0.5" });
  });

  it("leave out a round in which a row failed, and the baseline of that round with it", () => {
    const ours: Measure[] = [];
    [ours[0], ours[2]] = [{ value: 500 }, { value: 700 }];
    const measures = new Map([
      ["bare", found(1_000, 1, 1_000)],
      ["ours", ours],
    ]);
    const [, result] = summarise([row("bare"), row("ours", { baseline: "bare" })], measures);
    expect(result).to.deep.include({ median: 600, ratio: 0.6 });
  });

  it("judge the value itself where there is no baseline, and say when a target is missed", () => {
    const [slow] = summarise([row("slow", { target: { atMost: 25 } })], new Map([["slow", found(26)]]));
    expect(slow).to.deep.include({ isMet: false, target: "≤ 25" });
  });

  it("leave out what was not measured", () => {
    expect(summarise([row("a"), row("b")], new Map([["b", found(1)]])).map(({ name }) => name)).to.deep.equal(
      ["b"],
    );
  });
});
