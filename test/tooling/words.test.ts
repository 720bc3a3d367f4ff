import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect } from "chai";

const root = resolve(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(join(root, file), "utf8");

/** `make <target>` in a code span or a code block; prose says "make" too. */
const TARGETS = /(?:`|^\$ |^|\bor )make ([a-z][a-z-]*)/gm;

describe("the words", () => {
  const files = [
    ...readdirSync(root).filter((file) => file.endsWith(".md")),
    ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".md"))
      .map((file) => join("docs", file)),
  ];
  const makefile = read("Makefile");
  const known = [...makefile.matchAll(/^([a-z][a-z-]*):/gm)].map(([, name]) => name);

  for (const file of files) {
    const named = [...read(file).matchAll(TARGETS)].map(([, name = ""]) => name);
    if (named.length === 0) continue;
    it(`of ${file} name only targets that the Makefile has`, () => {
      // `run-<label>` and `bench-<row>` are patterns.
      const missing = named.filter((name) => !known.includes(name) && !/^(run|bench)-/.test(name));
      expect(missing).to.deep.equal([]);
    });
  }

  it("of make help have a line for every target", () => {
    const silent = [...makefile.matchAll(/^([a-z][a-z%-]*):(?!=)(?!.*## ).*$/gm)].map(([, name]) => name);
    expect(silent).to.deep.equal([]);
  });

  it("of the README link only to files that exist", () => {
    const links = [...read("README.md").matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, file = ""]) => file);
    expect(links).not.to.deep.equal([]);
    for (const file of links) expect(() => readdirOrFile(file), file).not.to.throw();
  });
});

function readdirOrFile(file: string): void {
  const path = join(root, file);
  try {
    readFileSync(path);
  } catch {
    readdirSync(path);
  }
}
