import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { Ec2Machine } from "../ec2/types.ts";
import { createSelfSigned } from "./certificate.ts";
import { signIdentity } from "./identity.ts";

describe("signIdentity", () => {
  it("makes a PKCS#7 that openssl verifies, with the document inside", function () {
    if (spawnSync("openssl", ["version"]).status !== 0) this.skip();
    const signer = createSelfSigned("grp sandbox", Date.now());
    const { document, rsa2048 } = signIdentity(
      { instanceId: "i-1", launchedAt: Date.now() } as Ec2Machine,
      signer,
    );
    const folder = mkdtempSync(join(tmpdir(), "grp-test-"));
    const [message, certificate] = [join(folder, "m.pem"), join(folder, "c.pem")];
    writeFileSync(message, `-----BEGIN PKCS7-----\n${rsa2048}\n-----END PKCS7-----\n`);
    writeFileSync(certificate, signer.certificate);
    const args = [
      "smime",
      "-verify",
      "-inform",
      "PEM",
      "-in",
      message,
      "-certfile",
      certificate,
      "-noverify",
    ];
    const content = execFileSync("openssl", args, { stdio: ["ignore", "pipe", "ignore"] });
    rmSync(folder, { recursive: true });
    // openssl writes text with network line ends.
    expect(content.toString().replaceAll("\r\n", "\n")).to.equal(document);
  });
});
