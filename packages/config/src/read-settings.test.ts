import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "@grp/runtime";
import { expect } from "chai";
import { z } from "zod";
import { readSettings, type Seen } from "./read-settings.ts";
import { catalogSettings, githubSettings, ticketSecret } from "./shared-settings.ts";

const CATALOG = `
version: 1
allow: { owners: [acme] }
classes:
  - name: linux
    labels: [linux]
    platform: { os: linux, arch: arm64 }
    maxRunners: 1
    offerings:
      - provider: ec2
        region: us-east-1
        image: { id: ami-0abc }
        instanceTypes: [t4g.large]
        subnets: [subnet-a]
        securityGroups: \${GROUP}
`;
const [KEY, OTHER_KEY] = [0, 1].map(() =>
  generateKeyPairSync("rsa", { modulusLength: 2_048 })
    .privateKey.export({ type: "pkcs1", format: "pem" })
    .toString(),
) as [string, string];
const ELLIPTIC = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
  type: "pkcs8",
  format: "pem",
}) as string;
const schema = z.object({ ...catalogSettings, ...githubSettings, TICKET_SECRET: ticketSecret() });
const SECRET = "0123456789abcdef0123456789abcdef";

describe("readSettings", () => {
  let folder: string;
  let good: Record<string, string>;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "grp-config-"));
    writeFileSync(join(folder, "runners.yaml"), CATALOG);
    writeFileSync(join(folder, "key.pem"), KEY);
    good = {
      RUNNERS_FILE: join(folder, "runners.yaml"),
      GROUP: "sg-1",
      GITHUB_TOKEN: "ghp_x",
      TICKET_SECRET: SECRET,
    };
  });
  after(() => rmSync(folder, { recursive: true }));

  const faultsOf = (environment: Record<string, string | undefined>) => {
    try {
      readSettings(schema, environment, { files: ["AWS_IDENTITY_CERTIFICATES"] });
    } catch (error) {
      if (error instanceof ConfigError) return error;
      throw error;
    }
    throw new Error("it was accepted");
  };

  it("fills in the catalog, and takes a token", () => {
    const { catalog, githubAuth } = readSettings(schema, good);
    expect(catalog.classes[0]?.offerings[0]).to.include({ provider: "ec2" });
    expect(githubAuth).to.deep.equal({ kind: "pat", token: "ghp_x" });
  });

  it("takes an App before a token, with its key from a file", () => {
    const { githubAuth } = readSettings(schema, {
      ...good,
      GITHUB_APP_ID: "7",
      GITHUB_APP_PRIVATE_KEY_FILE: join(folder, "key.pem"),
    });
    expect(githubAuth).to.deep.equal({ kind: "apps", apps: [{ appId: "7", privateKey: KEY }] });
  });

  it("takes several Apps, each with a key of its own", () => {
    const { githubAuth } = readSettings(schema, {
      ...good,
      GITHUB_APP_ID: "7",
      GITHUB_APP_PRIVATE_KEY_FILE: join(folder, "key.pem"),
      GITHUB_APP_ID_2: "8",
      GITHUB_APP_PRIVATE_KEY_2: OTHER_KEY.replaceAll("\n", "\\n"),
    });
    const apps = [
      { appId: "7", privateKey: KEY },
      { appId: "8", privateKey: OTHER_KEY },
    ];
    expect(githubAuth).to.deep.equal({ kind: "apps", apps });
  });

  it("names every fault of every App at once, and shows no key", () => {
    const { faults, message } = faultsOf({
      ...good,
      GITHUB_APP_ID: "7",
      GITHUB_APP_PRIVATE_KEY: KEY,
      GITHUB_APP_ID_2: "7",
      GITHUB_APP_PRIVATE_KEY_2: "not a key",
      GITHUB_APP_ID_3: "9",
      GITHUB_APP_PRIVATE_KEY_FILE_4: "/nowhere.pem",
    });
    expect(faults.map(({ name, problem }) => `${name} ${problem}`)).to.have.members([
      "GITHUB_APP_ID_2 is the same as GITHUB_APP_ID",
      "GITHUB_APP_PRIVATE_KEY_2 must be a PEM block (-----BEGIN … -----END …)",
      "GITHUB_APP_PRIVATE_KEY_3 is not set, and GITHUB_APP_ID_3 is",
      "GITHUB_APP_ID_4 is not set, and GITHUB_APP_PRIVATE_KEY_FILE_4 is",
      "GITHUB_APP_PRIVATE_KEY_FILE_4 can't be read: /nowhere.pem (ENOENT)",
    ]);
    expect(message).not.to.include("not a key");
  });

  it("refuses an App's key that node:crypto can't use, as text or as a file, and shows none of it", () => {
    const broken = "-----BEGIN RSA PRIVATE KEY-----\nabcdefg\n-----END RSA PRIVATE KEY-----";
    for (const [key, problem] of [
      ["not a key", "must be a PEM block"],
      [broken, "must hold an RSA private key"],
      [ELLIPTIC, "must hold an RSA private key"],
    ] as const) {
      writeFileSync(join(folder, "wrong.pem"), key);
      const file = join(folder, "wrong.pem");
      for (const [name, value] of [
        ["GITHUB_APP_PRIVATE_KEY", key],
        ["GITHUB_APP_PRIVATE_KEY_FILE", file],
      ] as const) {
        const { faults, message } = faultsOf({ ...good, GITHUB_APP_ID: "7", [name]: value });
        expect(faults.map((fault) => fault.name)).to.deep.equal([name]);
        expect(faults[0]?.problem).to.include(problem);
        expect(message).not.to.match(/abcdefg|not a key/);
      }
    }
  });

  it("refuses half an App, also where there is a token", () => {
    for (const GITHUB_TOKEN of ["ghp_x", undefined]) {
      const [noKey] = faultsOf({ ...good, GITHUB_TOKEN, GITHUB_APP_ID: "7" }).faults;
      expect(noKey).to.include({
        name: "GITHUB_APP_PRIVATE_KEY",
        problem: "is not set, and GITHUB_APP_ID is",
      });
      const [noId] = faultsOf({ ...good, GITHUB_TOKEN, GITHUB_APP_PRIVATE_KEY: KEY }).faults;
      expect(noId).to.include({
        name: "GITHUB_APP_ID",
        problem: "is not set, and GITHUB_APP_PRIVATE_KEY is",
      });
    }
  });

  it("names every fault at once: a missing variable of the catalog, a file, a secret, GitHub", () => {
    const error = faultsOf({
      ...good,
      GROUP: undefined,
      GITHUB_TOKEN: undefined,
      AWS_IDENTITY_CERTIFICATES: "/nowhere.pem",
      TICKET_SECRET: "short",
    });
    expect(error.message)
      .to.match(/runners\.yaml:\d+:\d+ .*\$\{GROUP\} is not set/)
      .and.to.match(/AWS_IDENTITY_CERTIFICATES\s+can't be read: \/nowhere\.pem \(ENOENT\)/)
      .and.to.match(/GITHUB_TOKEN\s+is not set, and no GitHub App either/)
      .and.to.match(/TICKET_SECRET\s+must have 32 characters or more/);
    expect(error.message).not.to.include("short");
  });

  it("names a catalog that is not there, and checks the rest all the same", () => {
    const error = faultsOf({ ...good, RUNNERS_FILE: "/nowhere.yaml", TICKET_SECRET: undefined });
    expect(error.faults.map(({ name }) => name)).to.have.members(["RUNNERS_FILE", "TICKET_SECRET"]);
  });

  it("lets an app's own rule see the catalog", () => {
    const rules = [
      ({ catalog }: Seen) =>
        catalog?.classes.length === 1
          ? { name: "OWN", problem: "one class is too few", remedy: "" }
          : undefined,
    ];
    expect(() => readSettings(schema, good, { rules })).to.throw(/OWN\s+one class is too few/);
  });

  it("lets it see the providers of a catalog that has faults, so that what they need is told with them", () => {
    const rules = [
      ({ providers }: Seen) => ({ name: "OWN", problem: `sees ${[...providers].join()}`, remedy: "" }),
    ];
    const faulty = { ...good, GROUP: undefined };
    expect(() => readSettings(schema, faulty, { rules })).to.throw(/OWN\s+sees ec2\n/);
  });
});
