import { createHmac, hkdfSync } from "node:crypto";
import { expect } from "chai";
import { createTicketSigner } from "./index.ts";

const ticket = {
  launchId: "l-1",
  runnerClass: "ubuntu-arm64",
  scope: "repo:acme/app",
  size: 2,
  expiresAt: 1_000,
};

describe("createTicketSigner", () => {
  it("gives the same bytes for the same ticket and takes them back", () => {
    const signer = createTicketSigner(["secret"]);
    const text = signer.sign(ticket);
    expect(signer.sign({ ...ticket })).to.equal(text);
    expect(signer.verify(text, 999)).to.deep.equal({ ok: true, ticket });
  });

  it("refuses an expired, forged or malformed ticket", () => {
    const signer = createTicketSigner(["secret"]);
    const text = signer.sign(ticket);
    expect(signer.verify(text, 1_000)).to.deep.equal({ ok: false, reason: "expired" });
    const [prefix, , signature] = text.split(".");
    const body = Buffer.from(JSON.stringify({ ...ticket, size: 99 })).toString("base64url");
    expect(signer.verify(`${prefix}.${body}.${signature}`, 0)).to.deep.equal({ ok: false, reason: "forged" });
    expect(createTicketSigner(["other"]).verify(text, 0)).to.deep.equal({ ok: false, reason: "forged" });
    for (const bad of ["", "x", "grp1..", `${text}.x`, "a.b.c"]) {
      expect(signer.verify(bad, 0), bad).to.deep.equal({ ok: false, reason: "malformed" });
    }
  });

  it("refuses our own ticket whose fields it does not know, without a throw", () => {
    const key = Buffer.from(hkdfSync("sha256", "secret", "grp", "ticket-v1", 32));
    const body = Buffer.from(JSON.stringify({ launch: "l-1" })).toString("base64url");
    const mac = createHmac("sha256", key).update(`grp1.${body}`).digest("base64url");
    const verdict = createTicketSigner(["secret"]).verify(`grp1.${body}.${mac}`, 0);
    expect(verdict).to.deep.equal({ ok: false, reason: "malformed" });
  });

  it("accepts the previous secret while it signs with the new one", () => {
    const old = createTicketSigner(["old"]).sign(ticket);
    const rotated = createTicketSigner(["new", "old"]);
    expect(rotated.verify(old, 0).ok).to.equal(true);
    expect(createTicketSigner(["new"]).verify(rotated.sign(ticket), 0).ok).to.equal(true);
  });
});
