import { expect } from "chai";
import { drawTable } from "./table.ts";

describe("drawTable", () => {
  const rows = [
    ["wfj-1", "a machine boots, and somebody has a lot to say about how it does that"],
    ["wfj-2", "short"],
  ];

  it("wraps the words of the last column to the width of the terminal, and cuts none", () => {
    const lines = drawTable(["job", "now"], rows, 50).split("\n");
    expect(Math.max(...lines.map((line) => line.length))).to.equal(50);
    const words = lines
      .join(" ")
      .replace(/[^\w ,-]+/g, " ")
      .replace(/ +/g, " ");
    expect(words).to.contain(
      "wfj-1 a machine boots, and somebody has a lot to say about how it does that wfj-2 short",
    );
  });

  it("is as wide as its text where there is no terminal", () => {
    expect(drawTable(["job", "now"], rows)).to.contain(rows[0]?.[1] ?? "");
  });

  it("stays readable on a terminal that is too narrow", () => {
    expect(drawTable(["job", "now"], rows, 5)).to.contain("a machine boots, and");
  });
});
