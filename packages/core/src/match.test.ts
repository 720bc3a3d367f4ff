import { expect } from "chai";
import { type Catalog, matchRunnerClass, parseCatalog } from "./index.ts";

const catalog = read(`
version: 1
allow: { owners: [acme], repositories: [Other/Tool] }
classes:
  - { name: small, labels: [linux, ARM64], platform: { os: linux, arch: arm64 }, maxRunners: 1, offerings: &ec2 [{ provider: ec2, region: us-east-1, image: { id: ami-0a }, instanceTypes: [t4g.small], subnets: [s], securityGroups: [g] }] }
  - { name: big, labels: [linux, arm64, big], platform: { os: linux, arch: arm64 }, maxRunners: 1, offerings: *ec2, repositories: [acme/big], allowPublicRepositories: true, register: { at: organization, group: builders } }
`);

function read(text: string): Catalog {
  const verdict = parseCatalog(text, { env: {}, useCodemagic: true });
  if (!verdict.ok) throw new Error(JSON.stringify(verdict.faults));
  return verdict.catalog;
}

const query = { owner: "acme", repository: "app", isPrivate: true, labels: ["linux", "arm64"] };

describe("matchRunnerClass", () => {
  it("takes the first class in file order, comparing labels and owners without case", () => {
    const verdict = matchRunnerClass(catalog, { ...query, owner: "ACME", labels: ["Linux", "arm64"] });
    expect(verdict).to.deep.include({
      matched: true,
      scope: { kind: "repository", owner: "ACME", repository: "app" },
    });
    expect(verdict.matched && verdict.runnerClass.name).to.equal("small");
  });

  it("needs every label of the job on the class", () => {
    const verdict = matchRunnerClass(catalog, { ...query, repository: "big", labels: ["linux", "big"] });
    expect(verdict).to.deep.include({
      matched: true,
      scope: { kind: "organization", owner: "acme", runnerGroup: "builders" },
    });
    expect(matchRunnerClass(catalog, { ...query, labels: ["linux", "gpu"] })).to.deep.equal({
      matched: false,
      reason: "labels",
    });
  });

  it("ignores a job without labels rather than serving it with anything", () => {
    expect(matchRunnerClass(catalog, { ...query, labels: [] })).to.deep.equal({
      matched: false,
      reason: "no-labels",
    });
  });

  it("serves only allowed owners and repositories", () => {
    const stranger = { ...query, owner: "evil" };
    expect(matchRunnerClass(catalog, stranger)).to.deep.equal({
      matched: false,
      reason: "repository-not-allowed",
    });
    expect(matchRunnerClass(catalog, { ...query, owner: "other", repository: "tool" }).matched).to.equal(
      true,
    );
  });

  it("keeps a class to the repositories it names", () => {
    const verdict = matchRunnerClass(catalog, { ...query, labels: ["big"] });
    expect(verdict).to.deep.equal({ matched: false, reason: "repository-not-allowed" });
  });

  it("refuses a public repository unless the class allows it", () => {
    const open = { ...query, isPrivate: false };
    expect(matchRunnerClass(catalog, open)).to.deep.equal({ matched: false, reason: "public-repository" });
    expect(matchRunnerClass(catalog, { ...open, repository: "big" }).matched).to.equal(true);
  });
});
