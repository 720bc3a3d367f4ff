import { readFileSync } from "node:fs";
import { expect } from "chai";
import {
  type CatalogOptions,
  catalogJsonSchema,
  formatFault,
  orderOf,
  parseCatalog,
  queueRankOf,
  rankOf,
} from "./index.ts";

const shipped = readFileSync(new URL("../../../runners.yaml", import.meta.url), "utf8");
const env = {
  ALLOWED_OWNERS: "acme, other",
  EC2_SUBNETS: "subnet-a,subnet-b",
  EC2_SECURITY_GROUPS: "sg-1",
  CODEMAGIC_APP_ID: "5c9c064185dd2310123b8e96",
};

function read(text: string, options: Partial<CatalogOptions> = {}) {
  const verdict = parseCatalog(text, { env, useCodemagic: true, ...options });
  return verdict.ok
    ? { classes: verdict.catalog.classes, catalog: verdict.catalog, faults: [] }
    : {
        classes: [],
        catalog: null,
        faults: verdict.faults.map((fault) => formatFault("runners.yaml", fault)),
      };
}

const lineOf = (needle: string) => shipped.split("\n").findIndex((line) => line.includes(needle)) + 1;

describe("parseCatalog", () => {
  it("reads the shipped file, filling in the environment and splitting lists at commas", () => {
    const { catalog, faults } = read(shipped);
    expect(faults).to.deep.equal([]);
    expect(catalog?.allow.owners).to.deep.equal(["acme", "other"]);
    const [linux, mac] = catalog?.classes ?? [];
    expect(linux?.offerings[0]).to.deep.include({ subnets: ["subnet-a", "subnet-b"], market: "spot" });
    expect(linux).to.include({ bootTimeout: 600_000, maxRuntime: 21_600_000 });
    expect(mac?.offerings.map((offering) => offering.provider)).to.deep.equal(["codemagic"]);
  });

  it("adds an offering by `enabled`, and asks only then for its variables", () => {
    expect(read(shipped, { env: { ...env, USE_EC2_MAC: "true" } }).faults).to.deep.equal([
      `runners.yaml:${lineOf("EC2_MAC_HOST_RESOURCE_GROUP")}:32 \${EC2_MAC_HOST_RESOURCE_GROUP} is not set in the environment`,
    ]);
    const host = "arn:aws:resource-groups:us-east-1:1:group/mac";
    const { classes } = read(shipped, {
      env: { ...env, USE_EC2_MAC: "true", EC2_MAC_HOST_RESOURCE_GROUP: host },
    });
    expect(classes[1]?.offerings.map((offering) => offering.provider)).to.deep.equal(["codemagic", "ec2"]);
  });

  it("takes CodeMagic out, and the class that has nothing else", () => {
    const { classes, faults } = read(shipped, {
      useCodemagic: false,
      env: { ...env, CODEMAGIC_APP_ID: undefined },
    });
    expect(faults).to.deep.equal([]);
    expect(classes.map((runnerClass) => runnerClass.name)).to.deep.equal(["ubuntu-arm64"]);
  });

  it("takes a number as text, and nothing else for one", () => {
    const change = (from: string, to: string) => read(shipped.replace(from, to)).faults;
    expect(change("maxRunners: 20", 'maxRunners: "7"')).to.deep.equal([]);
    for (const wrong of ["true", "[1]", "many", "0", "1.5"])
      expect(change("maxRunners: 20", `maxRunners: ${wrong}`)[0]).to.contain("classes[0].maxRunners");
  });

  it("takes no duration in which nothing could be done, and none that nothing lasts", () => {
    const rule = 'must be a duration from 5s to 30d such as "90s", "5m" or "6h"';
    for (const wrong of ["0s", "1s", "31d", "99999999999999999999d", "5", "soon", "1.5h"])
      expect(read(shipped.replace("bootTimeout: 10m", `bootTimeout: ${wrong}`)).faults).to.deep.equal([
        `runners.yaml:${lineOf("bootTimeout: 10m")}:5 classes[0].bootTimeout: ${rule}`,
      ]);
    expect(read(shipped.replace("bootTimeout: 10m", "bootTimeout: 30d")).faults).to.deep.equal([]);
    expect(read(`${shipped}limits: { github: { window: 400d } }\n`).faults[0]).to.match(
      /limits\.github\.window: must be a duration from 1s to 1d /,
    );
  });

  it("takes a region of any partition of AWS, and no zone for one", () => {
    const faultsOf = (region: string) => read(shipped.replaceAll("us-east-1", region)).faults;
    for (const region of ["us-gov-west-1", "cn-north-1", "eusc-de-east-1"])
      expect(faultsOf(region), region).to.deep.equal([]);
    expect(faultsOf("us-east-1a").join()).to.include("must be an AWS region");
  });

  it("reports every unset variable with its line", () => {
    const { faults } = read(shipped, { env: {} });
    expect(faults).to.have.length(6);
    expect(faults[0]).to.equal(
      `runners.yaml:${lineOf("ALLOWED_OWNERS")}:11 \${ALLOWED_OWNERS} is not set in the environment`,
    );
  });

  it("reports all faults of different kinds together, each with its place", () => {
    const bad = shipped
      .replace("market: spot", "market: sport")
      .replace("maxRunners: 4", "maxRunner: 4")
      .replace("bootTimeout: 30m", "bootTimeout: soon")
      .replace("labels: [macOS-arm64, self-hosted, macOS, arm64]", "labels: []");
    const { faults } = read(bad);
    expect(faults.join("\n")).to.match(/market: must be "spot" or "on-demand"/);
    expect(faults.join("\n")).to.match(/classes\[1\]\.maxRunner: unknown key/);
    expect(faults.join("\n")).to.match(/classes\[1\]\.maxRunners: /);
    expect(faults.join("\n")).to.match(/classes\[1\]\.bootTimeout: must be a duration /);
    expect(faults.join("\n")).to.match(/classes\[1\]\.labels: /);
  });

  it("refuses a class that runs longer than its CodeMagic plan builds", () => {
    const { faults } = read(shipped.replace("maxRuntime: 110m", "maxRuntime: 3h"));
    expect(faults).to.have.length(1);
    expect(faults[0]).to.match(
      /classes\[1\]\.offerings\[0\]: maxRuntime 180m exceeds the CodeMagic plan's build limit 120m/,
    );
  });

  it("refuses two classes of one name, an unknown team, and a mac without a host", () => {
    const { faults } = read(
      shipped
        .replace("name: macOS-arm64", "name: Ubuntu-ARM64")
        .replace(/app: .*/, "app: x\n        team: nobody")
        .replace(/ +host: .*\n/, ""),
      { env: { ...env, USE_EC2_MAC: "true" } },
    );
    const text = faults.join("\n");
    expect(text).to.match(/"Ubuntu-ARM64" is used twice/);
    expect(text).to.match(/no team "nobody" under codemagicTeams/);
    expect(text).to.match(/mac instance types need a host/);
  });

  it("tells what spans the classes together with the faults of one of them, each at its place", () => {
    const { faults } = read(
      shipped.replace("maxRunners: 20", "maxRunners: many").replace("maxRuntime: 110m", "maxRuntime: 3h"),
    );
    expect(faults).to.have.length(2);
    expect(faults[0]).to.match(/classes\[0\]\.maxRunners: /);
    expect(faults[1]).to.match(/classes\[1\]\.offerings\[0\]: maxRuntime 180m exceeds/);
  });

  it("refuses a repository's share of a class that is more than the whole", () => {
    const { faults } = read(
      `maxRunnersPerOwner: 30\n${shipped.replace("maxRunners: 20", "maxRunners: 20\n    maxRunnersPerRepository: 40")}`,
    );
    const text = faults.join("\n");
    expect(text).to.match(/classes\[0\]\.maxRunnersPerRepository: 40 exceeds maxRunners \(20\)/);
    expect(text).to.match(/40 exceeds the catalog's maxRunnersPerOwner \(30\)/);
  });

  it("refuses a class that no workflow job can reach, for an earlier one takes them all", () => {
    const [head = "", first = ""] = shipped.split(/(?= {2}- name: )/);
    const later = (labels: string, rest = "") =>
      read(
        `${head}${first}${first.replace("name: ubuntu-arm64", "name: later").replace(/labels: .*/, `labels: ${labels}${rest}`)}`,
      ).faults;
    expect(later("[UBUNTU-arm64]")[0]).to.match(
      /classes\[1\]\.labels: no workflow job can reach it: "ubuntu-arm64" stands before it/,
    );
    expect(later("[ubuntu-arm64, big]")).to.deep.equal([]);
    expect(later("[ubuntu-arm64]", "\n    allowPublicRepositories: true")).to.deep.equal([]);
    expect(later("[big, BIG]")[0]).to.match(/"big" stands twice: GitHub compares labels without case/);
  });

  it("ranks a class by its own priority, and in its queue by how far that is from the highest", () => {
    const verdict = parseCatalog(shipped.replace("maxRunners: 20", "maxRunners: 20\n    priority: 7"), {
      env,
      useCodemagic: true,
    });
    if (!verdict.ok) throw new Error("refused");
    const orders = verdict.catalog.classes.map((one) => orderOf(rankOf(one), 1_800_000_000_000));
    expect(orders).to.deep.equal([-68_200_000_000_000, 1_800_000_000_000]);
    expect(verdict.catalog.classes.map((one) => queueRankOf(verdict.catalog, one))).to.deep.equal([
      {},
      { rank: 7 },
    ]);
  });

  it("says where the YAML itself is broken", () => {
    expect(read("version: 1\nclasses: [\n").faults[0]).to.match(/^runners\.yaml:\d+:\d+ /);
    expect(read("").faults[0]).to.match(/^runners\.yaml:1:1 /);
  });

  it("says where an alias has no anchor", () => {
    expect(read("version: 1\nclasses: *nope\n").faults).to.deep.equal([
      "runners.yaml:2:10 no anchor &nope stands before this alias, or it is in a part that is not enabled",
    ]);
  });

  it("says so where the anchor went with what is not enabled", () => {
    const { faults } = read("version: 1\na: { enabled: false, b: &b [x] }\nc: *b\n");
    expect(faults).to.have.length(1);
    expect(faults[0]).to.match(/^runners\.yaml:3:4 no anchor &b /);
  });

  it("refuses aliases that would fill the memory, and those that hold themselves, as one fault", () => {
    const levels = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]`);
    const { faults } = read(["version: 1", "l0: &l0 [x, x]", ...levels].join("\n"));
    expect(faults).to.have.length(1);
    expect(faults[0]).to.match(/^runners\.yaml:3:10 its aliases can't be followed \(Excessive alias count/);
    expect(read("version: 1\nclasses: &c [*c]\n").faults).not.to.deep.equal([]);
  });

  it("gives editors a schema from the same source", () => {
    const committed = readFileSync(new URL("../../../runners.schema.json", import.meta.url), "utf8");
    expect(JSON.parse(committed)).to.deep.equal(JSON.parse(JSON.stringify(catalogJsonSchema())));
  });
});
