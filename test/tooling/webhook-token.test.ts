import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";

const root = new URL("../../", import.meta.url);

describe("scripts/webhook-token.ts", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "grp-token-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  const tokenOf = (text: string) => {
    const file = join(folder, "some.env");
    writeFileSync(file, text);
    const { WEBHOOK_TOKEN: _own, ...env } = process.env;
    return execFileSync(process.execPath, ["scripts/webhook-token.ts"], {
      cwd: root,
      env: { ...env, GRP_ENV_FILE: file },
      encoding: "utf8",
    });
  };

  it("finds the token however the file writes it, and takes the one for local tests where there is none", () => {
    for (const text of ["\uFEFFWEBHOOK_TOKEN=real one\n", "A=b\n  WEBHOOK_TOKEN = 'real one'\n"])
      expect(tokenOf(text), text).to.equal("real one\n");
    for (const text of ["", "WEBHOOK_TOKEN=\n", "WEBHOOK_TOKEN=''\n", "#WEBHOOK_TOKEN=real\n"])
      expect(tokenOf(text), text).to.equal("FAKE_TOKEN\n");
  });
});
