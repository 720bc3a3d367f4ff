import { expect } from "chai";
import { faultsOf, renderCatalog } from "./testing/render-catalog.ts";

const AT_OFFERING = "classes[0].offerings[0]";

describe("a fault of the catalog", () => {
  const tell = (parts: Parameters<typeof renderCatalog>[0]) =>
    faultsOf(renderCatalog(parts)).map((fault) => fault.replace(/^\d+:\d+ /, ""));

  it("is told of the item that is wrong, where a list may also be a text", () => {
    expect(tell({ labels: "[linux, 123]" })).to.deep.equal(["classes[0].labels[1]: must be text, not 123"]);
    expect(tell({ allow: "{ owners: [123] }" })).to.deep.equal(["allow.owners[0]: must be text, not 123"]);
    expect(tell({ labels: "{ a: b }" })).to.deep.equal([
      "classes[0].labels: must be a list, or one text with commas between",
    ]);
    for (const none of ["[]", '""'])
      expect(tell({ instanceTypes: none })).to.deep.equal([
        `${AT_OFFERING}.instanceTypes: must have one or more`,
      ]);
  });

  it("says that a number is wanted, whatever stands there", () => {
    for (const wrong of ["ten", "true", "[1]"])
      expect(tell({ maxRunners: wrong })).to.deep.equal(["classes[0].maxRunners: must be a number"]);
    expect(tell({ maxRunners: "1.5" })).to.deep.equal([
      "classes[0].maxRunners: must be a whole number, not 1.5",
    ]);
    expect(tell({ maxRunners: '"0"' })).to.deep.equal(["classes[0].maxRunners: must be 1 or more"]);
  });

  it("is told of the kind of image that was meant, and of all kinds where that is not to be seen", () => {
    expect(tell({ image: "{ owner: x, nam: y }" })).to.deep.equal([
      `${AT_OFFERING}.image.name: is missing`,
      `${AT_OFFERING}.image.nam: unknown key`,
    ]);
    expect(tell({ image: "{ id: x }" })).to.deep.equal([
      `${AT_OFFERING}.image.id: must be an AMI id such as "ami-0abc"`,
    ]);
    for (const unclear of ["{}", "ami-0abc", "{ id: ami-0abc, ssm: /x }"])
      expect(tell({ image: unclear }), unclear).to.deep.equal([
        `${AT_OFFERING}.image: must be { id: ami-… }, { ssm: /… } or { owner: …, name: … }`,
      ]);
  });

  it("names what may stand there, what is missing, and what is no map", () => {
    expect(tell({ offerings: "[{ provider: gcp }]" })).to.deep.equal([
      `${AT_OFFERING}.provider: must be "ec2" or "codemagic"`,
    ]);
    expect(tell({ offering: "market: sport" })).to.deep.equal([
      `${AT_OFFERING}.market: must be "spot" or "on-demand"`,
    ]);
    expect(tell({ offerings: "[5]" })).to.deep.equal([`${AT_OFFERING}: must be a map, not 5`]);
    for (const file of ["", "hello", "[]"])
      expect(faultsOf(file)).to.deep.equal(['1:1 must hold "version", "allow" and "classes"']);
    expect(faultsOf("version: 1\nclasses:\n")).to.include("2:1 classes: has no value, and must be a list");
  });

  it("calls what is missing that, and what has no value that, whatever may stand there", () => {
    const good = renderCatalog();
    for (const [key, path] of [
      ["version", "version"],
      ["maxRunners", "classes[0].maxRunners"],
      ["labels", "classes[0].labels"],
      ["platform", "classes[0].platform"],
      ["image", `${AT_OFFERING}.image`],
      ["subnets", `${AT_OFFERING}.subnets`],
    ] as const) {
      const faults = faultsOf(good.replace(new RegExp(`^ *${key}:.*\n`, "m"), "")).join();
      expect(faults, key).to.match(/^\d+:\d+ /);
      expect(faults.replace(/^\d+:\d+ /, ""), key).to.equal(`${path}: is missing`);
    }
    expect(tell({ platform: "{ os: linux }" })).to.deep.equal(["classes[0].platform.arch: is missing"]);
    for (const [parts, fault] of [
      [{ maxRunners: "" }, "maxRunners: has no value, and must be a number"],
      [{ labels: "" }, "labels: has no value, and must be a list, or one text with commas between"],
      [
        { class: "exposeMetadata:" },
        "exposeMetadata: has no value, and must be true or false (or 1/0, yes/no)",
      ],
    ] as const)
      expect(tell(parts)).to.deep.equal([`classes[0].${fault}`]);
  });

  it("says that a variable in a list or a map of one line needs quotes, and nothing of the rest of the line", () => {
    const wanted = `14:20 \${X} must be in quotes inside [ ] and { }: "\${X}"`;
    expect(faultsOf(renderCatalog({ subnets: `[\${X}]` }))).to.deep.equal([wanted]);
    expect(faultsOf(`a: { b: \${X:-c}, d: \${Y} }\n`)).to.deep.equal([
      `1:10 \${X:-c} must be in quotes inside [ ] and { }: "\${X:-c}"`,
    ]);
  });
});
