import { expect } from "chai";
import { parseCatalog } from "./index.ts";
import { faultsOf, renderCatalog } from "./testing/render-catalog.ts";

describe("enabled", () => {
  const second = (enabled: string) =>
    renderCatalog({ offerings: `\n${offering(enabled)}${offering("true")}` });
  const offering = (enabled: string) =>
    `      - { enabled: ${enabled}, provider: ec2, region: us-east-1, image: { id: ami-0abc }, instanceTypes: [t4g.large], subnets: [s], securityGroups: [g] }\n`;

  it("takes the words of every setting for yes and no, in any case", () => {
    const offeringsLeft = (enabled: string, env = {}) => {
      const verdict = parseCatalog(second(enabled), { env, useCodemagic: true });
      return verdict.ok && verdict.catalog.classes[0]?.offerings.length;
    };
    for (const yes of ["true", "Yes", '"1"', "1"]) expect(offeringsLeft(yes), yes).to.equal(2);
    for (const no of ["false", "NO", '"0"', "0"]) expect(offeringsLeft(no), no).to.equal(1);
    expect(offeringsLeft(`"\${USE:-true}"`, { USE: "no" })).to.equal(1);
  });

  it("refuses every other word, with its line and not with what a variable holds", () => {
    for (const word of ["off", "flase", "maybe", "2"])
      expect(faultsOf(second(word))).to.deep.equal([
        `10:11 enabled: must be true or false (or 1/0, yes/no); "${word}" is neither`,
      ]);
    expect(faultsOf(second(`"\${USE}"`), { USE: "hunter2" })).to.deep.equal([
      `10:11 enabled: must be true or false (or 1/0, yes/no); "\${USE}" is neither`,
    ]);
  });

  it("refuses one without a value, and takes nothing out for a variable that is not set", () => {
    expect(faultsOf(renderCatalog({ class: "enabled:" }))).to.deep.equal([
      "8:5 enabled: must be true or false (or 1/0, yes/no); it has no value",
    ]);
    expect(faultsOf(renderCatalog({ class: `enabled: \${UNSET}` }))).to.deep.equal([
      `8:5 \${UNSET} is not set in the environment`,
    ]);
  });
});

describe("a variable in the catalog", () => {
  it("that is written in another way than the two that are filled in is refused, not taken literally", () => {
    const env = { SUBNET: "subnet-1", A: "a", B: "b" };
    for (const written of [
      `\${SUBNET:?must be set}`,
      `\${SUBNET-subnet-2}`,
      `\${A:-\${B}}`,
      `\${A`,
      "$SUBNET",
      "a, $B",
    ])
      expect(faultsOf(renderCatalog({ subnets: `"${written}"` }), env)).to.deep.equal([
        `14:18 "${written}": only \${NAME} and \${NAME:-default} are filled in`,
      ]);
  });

  it("is not looked for in what another one holds, and that is said", () => {
    expect(faultsOf(renderCatalog({ subnets: `\${A}` }), { A: `\${B}`, B: "subnet-b" })).to.deep.equal([
      `14:18 the value of \${A} holds a "\${" of its own, which nothing fills in`,
    ]);
  });

  it("may have a default of any text, also an empty one", () => {
    const env = { A: "subnet-1" };
    for (const written of [`\${A}`, `\${NONE:-subnet-2,subnet-3}`, `\${A}\${NONE:-}`])
      expect(faultsOf(renderCatalog({ subnets: written }), env), written).to.deep.equal([]);
  });
});
