import { expect } from "chai";
import {
  clientToken,
  demandJobId,
  demandKey,
  dryRunKey,
  launchId,
  type Offering,
  offeringDigest,
  parseDemandJobId,
  parseScopeKey,
  runnerName,
  type Scope,
  scopeKey,
} from "./index.ts";

const OFFERING: Offering = {
  ...{ provider: "codemagic", team: "default", app: "app-1" },
  ...{ workflow: "github-runner", branch: "main", instanceType: "mac_mini_m2" },
};
const identity = {
  ...{ placeHolders: ["wfj-1", "wfj-2-g3"], runnerClass: "u" },
  ...{ offeringDigest: offeringDigest(OFFERING), renewal: 0 },
};

describe("keys", () => {
  it("derives the same launch id whatever the order of its members, and another for anything else", () => {
    const id = launchId(identity);
    expect(launchId({ ...identity, placeHolders: ["wfj-2-g3", "wfj-1"] })).to.equal(id);
    const others = [
      { placeHolders: ["wfj-1", "wfj-2"] },
      { offeringDigest: offeringDigest({ ...OFFERING, app: "app-2" }) },
      { renewal: 1 },
      { runnerClass: "v" },
      { placeHolders: ["wfj-1"] },
    ];
    expect(new Set(others.map((change) => launchId({ ...identity, ...change }))).add(id).size).to.equal(6);
  });

  it("tells offerings apart by all that they say, in whatever order they say it", () => {
    const reversed = Object.fromEntries(Object.entries(OFFERING).reverse()) as Offering;
    expect(offeringDigest(reversed)).to.equal(offeringDigest(OFFERING));
    expect(offeringDigest({ ...OFFERING, branch: "next" })).not.to.equal(offeringDigest(OFFERING));
  });

  it("makes a client token of exactly EC2's 64 characters, one for each placement", () => {
    const id = launchId(identity);
    expect(clientToken(id, "subnet-a")).to.match(/^[0-9a-f]{64}$/);
    expect(clientToken(id, "subnet-a")).not.to.equal(clientToken(id, "subnet-b"));
  });

  it("keeps runner names within GitHub's 64 characters and queue job ids off bare integers", () => {
    expect(runnerName("a-long-installation-name", launchId(identity), 999).length).to.be.at.most(64);
    expect(demandJobId(demandKey(5), 1)).to.equal("wfj-5");
    expect(demandJobId(demandKey(5), 2)).to.equal("wfj-5-g2");
    for (const generation of [1, 2, 20])
      expect(parseDemandJobId(demandJobId(demandKey(5), generation))).to.deep.equal({
        key: "wfj-5",
        generation,
      });
    expect(dryRunKey("72d3162e-cc78:x")).to.equal("dry-72d3162e-cc78-x");
  });

  it("reads a scope back from its key, in lower case", () => {
    const repository: Scope = { kind: "repository", owner: "acme", repository: "app" };
    const organization: Scope = { kind: "organization", owner: "acme", runnerGroup: "big / machines" };
    for (const scope of [repository, organization])
      expect(parseScopeKey(scopeKey(scope))).to.deep.equal(scope);
    for (const key of ["", "repo:acme", "user:acme/app"]) expect(parseScopeKey(key)).to.equal(undefined);
  });
});
