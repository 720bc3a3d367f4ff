import { expect } from "chai";
import { readFlags } from "./flags.ts";

describe("readFlags", () => {
  const read = (...args: string[]) => {
    const printed: string[] = [];
    const flags = readFlags(["check", "dry-run"], { args, print: (text) => printed.push(text) });
    return { flags: flags && { ...flags }, printed };
  };

  it("tells which flags were given", () => {
    expect(read("--dry-run").flags).to.deep.equal({ "dry-run": true });
    expect(read().flags).to.deep.equal({});
  });

  it("tells of what it does not know in one line, with what there is", () => {
    for (const args of [["--frob"], ["start"], ["--check=maybe"]]) {
      const { flags, printed } = read(...args);
      expect([flags, printed.length], args.join()).to.deep.equal([undefined, 1]);
      expect(printed[0]).to.match(/There are: --check, --dry-run$/);
    }
  });
});
