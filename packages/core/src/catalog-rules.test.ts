import { expect } from "chai";
import { faultsOf, renderCatalog } from "./testing/render-catalog.ts";

describe("a catalog that serves nobody", () => {
  it("is refused: for want of owners and repositories", () => {
    const fault = "2:1 allow: nobody is served: name owners or repositories";
    for (const allow of ["{}", '{ owners: "" }', "{ owners: [], repositories: [] }"])
      expect(faultsOf(renderCatalog({ allow })), allow).to.deep.equal([fault]);
    expect(faultsOf(renderCatalog().replace(/allow: .*\n/, ""))).to.deep.equal([fault.replace("2:1", "1:1")]);
    expect(faultsOf(renderCatalog({ allow: '{ owners: "", repositories: [acme/app] }' }))).to.deep.equal([]);
  });

  it("is refused: for owners that GitHub can't have", () => {
    for (const owner of ["*", "acme/app", "https://github.com/acme", "@acme", "acme inc"])
      expect(faultsOf(renderCatalog({ allow: `{ owners: ["${owner}"] }` })), owner).to.deep.equal([
        '2:19 allow.owners[0]: must be a GitHub login such as "acme": no address, no "/", no "*"',
      ]);
    expect(faultsOf(renderCatalog({ allow: "{ owners: [acme-2, octo_corp] }" }))).to.deep.equal([]);
  });

  it("is refused: for a class of repositories that are not allowed, or of none", () => {
    expect(faultsOf(renderCatalog({ class: "repositories: [ACME/app, nobody/nothing]" }))).to.deep.equal([
      '8:30 classes[0].repositories[1]: "nobody/nothing" is not served: neither its owner nor it is under allow',
    ]);
    expect(faultsOf(renderCatalog({ class: "repositories: []" }))).to.deep.equal([
      "8:5 classes[0].repositories: must have one or more",
    ]);
  });

  it("is refused: for a label that no job can ask for", () => {
    for (const label of ['"a,b"', '" a"', '"a "', '""'])
      expect(faultsOf(renderCatalog({ labels: `[linux, ${label}]` })), label).to.deep.equal([
        "5:21 classes[0].labels[1]: must be one label, without commas and without spaces at its ends",
      ]);
    for (const labels of ["[amazon linux 2, self-hosted]", "amazon linux 2, self-hosted"])
      expect(faultsOf(renderCatalog({ labels })), labels).to.deep.equal([]);
  });
});

describe("an offering of another platform than its class", () => {
  const tell = (os: string, arch: string, instanceType: string) =>
    faultsOf(
      renderCatalog({
        platform: `{ os: ${os}, arch: ${arch} }`,
        instanceTypes: `[${instanceType}]`,
        offering: instanceType.startsWith("mac") ? "host: { id: h-0abc }" : "",
      }),
    );

  it("is refused on EC2 where the type's name makes it certain", () => {
    const wrong = [
      ["macos", "arm64", "t4g.large", "linux arm64"],
      ["linux", "arm64", "mac2.metal", "macos arm64"],
      ["macos", "x64", "mac-m4.metal", "macos arm64"],
      ["macos", "arm64", "mac1.metal", "macos x64"],
      ["linux", "arm64", "m5.large", "linux x64"],
      ["linux", "arm64", "c7i-flex.large", "linux x64"],
      ["linux", "arm64", "t3a.small", "linux x64"],
      ["linux", "x64", "m8gd.large", "linux arm64"],
      ["linux", "x64", "im4gn.large", "linux arm64"],
      ["linux", "x64", "a1.large", "linux arm64"],
    ] as const;
    for (const [os, arch, type, is] of wrong)
      expect(tell(os, arch, type)).to.deep.equal([
        `13:25 classes[0].offerings[0].instanceTypes[0]: "${type}" is ${is}, and the class is ${os} ${arch}`,
      ]);
  });

  it("is taken where it fits, and where the name says nothing", () => {
    const right = [
      ["macos", "arm64", "mac2-m2pro.metal"],
      ["linux", "arm64", "g5g.xlarge"],
      ["linux", "x64", "g4dn.xlarge"],
      ["linux", "x64", "m7i-flex.large"],
      ["linux", "x64", "u-6tb1.metal"],
      ["linux", "arm64", "p6e-gb200.36xlarge"],
    ] as const;
    for (const [os, arch, type] of right) expect(tell(os, arch, type), type).to.deep.equal([]);
  });

  it("is refused on CodeMagic", () => {
    const onCodemagic = (os: string, instanceType: string) =>
      faultsOf(
        `codemagicTeams: { default: {} }\n${renderCatalog({
          platform: `{ os: ${os}, arch: arm64 }`,
          class: "maxRuntime: 1h",
          offerings: `[{ provider: codemagic, app: a, instanceType: ${instanceType} }]`,
        })}`,
      );
    const where = "classes[0].offerings[0].instanceType";
    expect(onCodemagic("macos", "linux_x2")[0]).to.contain(
      `${where}: "linux_x2" is linux, and the class is macos`,
    );
    expect(onCodemagic("linux", "mac_mini_m2")[0]).to.contain(`${where}: "mac_mini_m2" is macos arm64`);
    expect(onCodemagic("macos", "mac_mini_m4")).to.deep.equal([]);
    expect(onCodemagic("linux", "linux_x4")).to.deep.equal([]);
  });
});
