import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect } from "chai";
import { createSelfSigned } from "../../../packages/sandbox/src/machines/certificate.ts";
import { findWeakness, readConfig } from "./config.ts";

const catalogOf = (region: string) => `
version: 1
allow: { owners: [acme] }
classes:
  - name: linux
    labels: [linux]
    platform: { os: linux, arch: arm64 }
    maxRunners: 1
    offerings:
      - { provider: ec2, region: ${region}, image: { id: ami-0abc }, instanceTypes: [t4g.large],
          subnets: [subnet-a], securityGroups: [sg-a] }
`;

describe("the ingress' readConfig", () => {
  let folder: string;
  let good: Record<string, string>;
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), "grp-config-"));
    good = {
      REDIS_URL: "redis://127.0.0.1:6379",
      WEBHOOK_TOKEN: "a webhook secret for tests",
      TICKET_SECRET: "0123456789abcdef0123456789abcdef",
      GITHUB_TOKEN: "ghp_x",
      RUNNERS_FILE: write("runners.yaml", catalogOf("us-east-1")),
    };
  });
  after(() => rmSync(folder, { recursive: true }));

  function write(name: string, text: string): string {
    const file = path.join(folder, name);
    writeFileSync(file, text);
    return file;
  }

  it("needs no certificates for a region of AWS's that is shipped", () => {
    const { identityCertificates } = readConfig(good);
    expect(identityCertificates.ofRegion("us-east-1")).to.have.length(1);
  });

  it("refuses to start with a region whose machines could never claim, and says what to do", () => {
    const far = { ...good, RUNNERS_FILE: write("far.yaml", catalogOf("xx-new-1")) };
    expect(() => readConfig(far)).to.throw(/AWS_IDENTITY_CERTIFICATES .*xx-new-1[\s\S]*regions-certs/);
    const file = write("new.pem", createSelfSigned("new", Date.now()).certificate);
    const { identityCertificates } = readConfig({ ...far, AWS_IDENTITY_CERTIFICATES: file });
    expect(identityCertificates.ofRegion("xx-new-1")).to.have.length(1);
    expect(identityCertificates.ofRegion("us-east-1")).to.have.length(2);
  });

  it("refuses a secret that is soon guessed, but for the previous one, and tells of one that is short", () => {
    expect(() => readConfig({ ...good, WEBHOOK_TOKEN: "seven77" })).to.throw(
      /WEBHOOK_TOKEN +must have 8 characters or more\. The webhook's secret/,
    );
    const rotated = readConfig({ ...good, WEBHOOK_TOKEN: "0123456789abcde", WEBHOOK_TOKEN_PREVIOUS: "w" });
    expect(findWeakness(rotated)).to.match(/^WEBHOOK_TOKEN has fewer than 16 characters/);
    expect(findWeakness(readConfig(good))).to.equal(undefined);
  });

  it("refuses one port for both servers, also where it is one's default", () => {
    for (const ports of [{ PORT: "3001" }, { INTERNAL_PORT: "3000" }, { PORT: "80", INTERNAL_PORT: "80" }])
      expect(() => readConfig({ ...good, ...ports })).to.throw(
        /INTERNAL_PORT +is \d+, and so is PORT\. Each needs/,
      );
    expect(readConfig({ ...good, PORT: "0", INTERNAL_PORT: "0" })).to.include({ PORT: 0, INTERNAL_PORT: 0 });
  });

  it("names a file of certificates that holds none, among all other faults", () => {
    for (const text of ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]) {
      const file = write("bad.pem", text);
      expect(() => readConfig({ ...good, WEBHOOK_TOKEN: "", AWS_IDENTITY_CERTIFICATES: file })).to.throw(
        /WEBHOOK_TOKEN[\s\S]*AWS_IDENTITY_CERTIFICATES/,
      );
    }
  });
});
