import { expect } from "chai";
import { redact, redactText } from "./redact.ts";

const jwt = `eyJ${"hbGciOiJIUzI1NiJ9".repeat(2)}.eyJzdWIiOiIxIn0.c2lnbmF0dXJl`;
const pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----";
const secrets: Record<string, string> = {
  "a classic installation token": "ghs_16C7e42F292c6912E7710c838347Ae178B4a",
  "a new installation token": `ghs_123456_${jwt}`,
  "a personal token": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
  "a fine-grained token": "github_pat_11ABCDEFG0abcdefghij_klmnop",
  "a ticket": "grp1.eyJsYXVuY2hJZCI6ImwtMSJ9.c2lnbmF0dXJl-_x",
  "a bearer header": "Bearer abc.def-ghi",
  "a PEM block": pem,
  "a PEM block cut short": pem.slice(0, 45),
  "a JWT": jwt,
  "a JIT config": Buffer.from(JSON.stringify({ ".runner": "x".repeat(80) })).toString("base64"),
  "a delivery's signature": `sha256=${"ab".repeat(32)}`,
};

describe("redactText", () => {
  for (const [name, secret] of Object.entries(secrets)) {
    it(`hides ${name} in the middle of a text`, () => {
      expect(redactText(`before ${secret}, after`)).to.match(/^before \[redacted\]/);
      expect(redactText(`before ${secret}`)).not.to.contain(secret.slice(-12));
    });
  }

  it("hides passwords and tokens in URLs", () => {
    expect(redactText("redis://:hunter2@redis:6379/0")).to.equal("redis://:[redacted]@redis:6379/0");
    expect(redactText("https://x/y?access_token=abc&page=2")).to.equal(
      "https://x/y?access_token=[redacted]&page=2",
    );
  });

  it("leaves ordinary ids alone", () => {
    const text = "wfj-4711 l-0123456789abcdef01234567 i-0abc ubuntu-arm64 https://api.github.com/repos/a/b";
    expect(redactText(text)).to.equal(text);
  });
});

describe("redact", () => {
  it("hides by key name at any depth, whatever the spelling", () => {
    const fields = {
      headers: { Authorization: "x", "X-Hub-Signature-256": "x", accept: "json" },
      list: [{ encoded_jit_config: "x", encodedJitConfig: "x", privateKey: "x", report_ticket: { a: "x" } }],
      ticketExpiresAt: 5,
    };
    expect(redact(fields)).to.deep.equal({
      headers: { Authorization: "[redacted]", "X-Hub-Signature-256": "[redacted]", accept: "json" },
      list: [
        {
          encoded_jit_config: "[redacted]",
          encodedJitConfig: "[redacted]",
          privateKey: "[redacted]",
          report_ticket: "[redacted]",
        },
      ],
      ticketExpiresAt: 5,
    });
  });

  it("writes errors with code, stack and causes, and without the request hung on them", () => {
    const cause = Object.assign(new Error(`401 for ${secrets["a personal token"]}`), {
      code: "EAUTH",
      config: { headers: { authorization: "Bearer abc" } },
    });
    const text = JSON.stringify(redact({ error: new AggregateError([cause], "outer", { cause }) }));
    expect(text).to.contain('"code":"EAUTH"').and.to.contain("redact.test.ts");
    expect(text).not.to.contain("ghp_16").and.not.to.contain("headers");
    expect(JSON.parse(text).error.cause.message).to.equal("401 for [redacted]");
    expect(JSON.parse(text).error.errors).to.have.length(1);
  });

  it("survives cycles, depth, bytes and odd values", () => {
    const loop: Record<string, unknown> = {
      bytes: Buffer.from("secret"),
      when: new Date(0),
      big: 10n,
      none: null,
    };
    loop.self = loop;
    loop.map = new Map([["token", "x"]]);
    expect(redact(loop)).to.deep.equal({
      bytes: "[6 bytes]",
      when: "1970-01-01T00:00:00.000Z",
      big: "10",
      none: null,
      self: "[circular]",
      map: { token: "[redacted]" },
    });
    let deep: unknown = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    for (let i = 0; i < 50; i++) deep = { deep };
    expect(JSON.stringify(redact(deep))).to.contain("[too deep]");
    expect(String(redact("x".repeat(9_000)))).to.have.length.below(8_300);
  });
});
