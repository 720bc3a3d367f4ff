import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect } from "chai";
import { parse } from "yaml";
import { catalogJsonSchema } from "./catalog-json-schema.ts";
import { faultsOf, renderCatalog } from "./testing/render-catalog.ts";

const shipped = () =>
  parse(readFileSync(new URL("../../../runners.yaml", import.meta.url), "utf8")) as {
    classes: Record<string, unknown>[];
  };

describe("catalogJsonSchema", () => {
  const isValid = new Ajv2020({ strict: false, validateFormats: false }).compile(
    catalogJsonSchema() as object,
  );

  it("accepts the shipped file as it is written", () => {
    isValid(shipped());
    expect(isValid.errors).to.equal(null);
  });

  it("accepts a variable for any value, and enabled", () => {
    const catalog = shipped();
    Object.assign(catalog.classes[0] ?? {}, { maxRunners: `\${MOST:-3}`, enabled: `\${ON}` });
    expect(isValid(catalog)).to.equal(true);
  });

  it("takes a variable where the check does, and nowhere else", () => {
    const taken = [
      [{ class: `allowPublicRepositories: \${X:-true}` }, "no"],
      [{ class: `exposeMetadata: \${X}` }, "true"],
      [{ class: `repositories: \${X}` }, "acme/app, acme/api"],
      [{ class: `repositories: ["\${X}"]` }, "acme/app"],
      [{ class: `maxRuntime: \${X}` }, "2h"],
      [{ allow: `{ owners: ["\${X}"], repositories: "\${Y:-}" }` }, "acme"],
      [{ offering: `volume: { sizeGiB: "\${X}", iops: "\${X}", throughputMiBps: "\${X}" }` }, "3000"],
      [{ offering: `market: \${X}` }, "spot"],
      [{ offering: `enabled: \${X:-true}` }, "1"],
    ] as const;
    for (const [parts, value] of taken) {
      const text = renderCatalog(parts);
      expect(faultsOf(text, { X: value }), JSON.stringify(parts)).to.deep.equal([]);
      expect(isValid(parse(text)), JSON.stringify(parts)).to.equal(true);
    }
    for (const parts of [
      { image: `\${X}` },
      { offerings: `\${X}` },
      { offering: `volume: \${X}` },
      { class: `register: \${X}` },
    ]) {
      const text = renderCatalog(parts);
      expect(faultsOf(text, { X: "x" }), JSON.stringify(parts)).not.to.deep.equal([]);
      expect(isValid(parse(text)), JSON.stringify(parts)).to.equal(false);
    }
  });

  it("takes for every flag what the check takes, which is the same for each", () => {
    const taken = ["false", "1", "Yes", "'TRUE'", "' no '"];
    const refused = ["off", "", "2", "'10'", "[true]"];
    for (const name of ["enabled", "exposeMetadata", "allowPublicRepositories"])
      for (const word of [...taken, ...refused]) {
        const text = renderCatalog({ class: `${name}: ${word}` });
        const faults = faultsOf(text).filter((fault) => fault.includes(name));
        if (taken.includes(word)) expect(faults, `${name}: ${word}`).to.deep.equal([]);
        else expect(faults.join(), `${name}: ${word}`).to.include("must be true or false (or 1/0, yes/no)");
        expect(isValid(parse(text)), `${name}: ${word}`).to.equal(taken.includes(word));
      }
    for (const name of ["enabled", "exposeMetadata"])
      expect(faultsOf(renderCatalog({ class: `${name}: \${X}` }), { X: " true " }), name).to.deep.equal([]);
  });

  it("refuses an empty list where the check does", () => {
    for (const [parts, isTaken] of [
      [{ class: "repositories: []" }, false],
      [{ labels: "[]" }, false],
      [{ allow: "{ owners: [acme], repositories: [] }" }, true],
    ] as const) {
      const text = renderCatalog(parts);
      expect(faultsOf(text).length === 0, JSON.stringify(parts)).to.equal(isTaken);
      expect(isValid(parse(text)), JSON.stringify(parts)).to.equal(isTaken);
    }
  });

  it("refuses a key that nobody reads, and a value of the wrong kind", () => {
    for (const wrong of [{ maxRuners: 3 }, { bootTimeout: "soon" }, { offerings: [{ provider: "gcp" }] }]) {
      const catalog = shipped();
      Object.assign(catalog.classes[0] ?? {}, wrong);
      expect(isValid(catalog), JSON.stringify(wrong)).to.equal(false);
    }
  });
});
