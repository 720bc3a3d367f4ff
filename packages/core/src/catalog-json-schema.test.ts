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

  it("takes for enabled what the check takes", () => {
    for (const [word, isTaken] of [
      ["false", true],
      ["yes", true],
      ["off", false],
      ["", false],
    ] as const) {
      const text = renderCatalog({ class: `enabled: ${word}` });
      expect(
        faultsOf(text).some((fault) => fault.includes("enabled")),
        word,
      ).to.equal(!isTaken);
      expect(isValid(parse(text)), word).to.equal(isTaken);
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
