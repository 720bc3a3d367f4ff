import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect } from "chai";
import { parse } from "yaml";
import { catalogJsonSchema } from "./catalog-json-schema.ts";

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

  it("refuses a key that nobody reads, and a value of the wrong kind", () => {
    for (const wrong of [{ maxRuners: 3 }, { bootTimeout: "soon" }, { offerings: [{ provider: "gcp" }] }]) {
      const catalog = shipped();
      Object.assign(catalog.classes[0] ?? {}, wrong);
      expect(isValid(catalog), JSON.stringify(wrong)).to.equal(false);
    }
  });
});
