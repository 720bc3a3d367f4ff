import { expect } from "chai";
import { flag } from "./shared-settings.ts";

describe("flag", () => {
  it("takes the words for yes and no in any case, with spaces around", () => {
    for (const yes of ["true", "Yes", " 1 "]) expect(flag().parse(yes), yes).to.equal(true);
    for (const no of ["false", "NO", " 0 "]) expect(flag().parse(no), no).to.equal(false);
  });

  it("refuses every other word, so that a mistyped one switches nothing on or off", () => {
    for (const word of ["ture", "on", "2"])
      expect(
        flag()
          .safeParse(word)
          .error?.issues.map(({ message }) => message),
        word,
      ).to.deep.equal(["must be true or false (or 1/0, yes/no)"]);
  });
});
