import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Ec2Offering, InvalidSpecError, type LaunchOrder } from "@grp/core";
import { expect } from "chai";
import { testOrder } from "../testing/order.ts";
import { hasCommand } from "../testing/real-machine.ts";
import { codemagicWorkflow } from "./codemagic-workflow.ts";
import { extractBootScript, renderUserData, USER_DATA_LIMIT } from "./render-user-data.ts";
import { type BootPlatform, bootSource } from "./script.ts";

const PLATFORMS: readonly BootPlatform[] = ["linux", "macos", "codemagic"];

function order(os: "linux" | "macos", changes: Partial<LaunchOrder["boot"]> = {}): LaunchOrder<Ec2Offering> {
  const made = testOrder("l-1");
  const runnerClass = { ...made.runnerClass, platform: { os, arch: "arm64" as const } };
  return { ...made, runnerClass, boot: { ...made.boot, ticket: `grp1.${"t".repeat(400)}`, ...changes } };
}

describe("user data", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "grp-user-data-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const os of ["linux", "macos"] as const) {
    it(`has the same bytes for the same order, and fits with room to spare on ${os}`, () => {
      expect(renderUserData(order(os))).to.equal(renderUserData(order(os)));
      expect(Buffer.byteLength(renderUserData(order(os)))).to.be.lessThan(USER_DATA_LIMIT - 1_500);
    });

    it(`gives the values to the script unharmed on ${os}`, () => {
      const publicUrl = "https://grp.example.com/it's $(touch pwned) `x` \\";
      const script = extractBootScript(renderUserData(order(os, { publicUrl, bootTimeoutMs: 1_500 })));
      expect(script).to.match(/^#!\/bin\/bash\n/);
      const header = script
        .split("\n")
        .filter((line) => line.startsWith("GRP_"))
        .slice(0, 7)
        .join("\n");
      const shown = execFileSync("bash", ["-c", `${header}\nprintf '%s|%s' "$GRP_URL" "$GRP_BOOT_TIMEOUT"`], {
        cwd: folder,
      });
      expect(shown.toString()).to.equal(`${publicUrl}|2`);
      expect(spawnSync("bash", ["-n"], { input: script }).status).to.equal(0);
    });
  }

  it("is a plain script for macOS, whose ec2-macos-init knows nothing else", () => {
    expect(renderUserData(order("macos"))).to.match(/^#!\/bin\/bash\n/);
  });

  it("is refused when it would not fit, and when a value can't be one line", () => {
    expect(() => renderUserData(order("linux", { ticket: "t".repeat(9_000) }))).to.throw(
      InvalidSpecError,
      "16384",
    );
    expect(() => renderUserData(order("linux", { publicUrl: "https://a\nrm" }))).to.throw(InvalidSpecError);
  });

  it("is accepted by cloud-init's own schema", function () {
    if (!hasCommand("cloud-init")) return this.skip();
    this.timeout(20_000);
    const file = join(folder, "user-data");
    writeFileSync(file, renderUserData(order("linux")));
    const { status, stdout, stderr } = spawnSync("cloud-init", ["schema", "-c", file], { encoding: "utf8" });
    expect(status, `${stdout}${stderr}`).to.equal(0);
    expect(stdout).to.include("Valid");
  });
});

describe("the boot script's text", () => {
  for (const platform of PLATFORMS) {
    it(`is clean under shellcheck for ${platform}`, function () {
      if (!hasCommand("shellcheck")) return this.skip();
      this.timeout(20_000);
      const { status, stdout } = spawnSync("shellcheck", ["--shell=bash", "-"], {
        input: bootSource(platform),
        encoding: "utf8",
      });
      expect(status, stdout).to.equal(0);
    });

    it(`uses nothing that bash 3.2 lacks for ${platform}`, () => {
      const newer =
        /\b(mapfile|readarray|coproc|declare -[An]|local -n|wait -n)\b|\$\{\w+(\^|,)|\|&|&>>|EPOCHSECONDS/;
      expect(bootSource(platform)).not.to.match(newer);
    });

    it(`never traces itself for ${platform}`, () => {
      expect(bootSource(platform)).not.to.match(/set -\w*x|xtrace|RUNNER_ALLOW_RUNASROOT/);
    });
  }

  it("is the same in deploy/codemagic/codemagic.yaml (else run node scripts/write-codemagic-yaml.ts)", () => {
    const file = new URL("../../../../deploy/codemagic/codemagic.yaml", import.meta.url);
    expect(readFileSync(file, "utf8")).to.equal(codemagicWorkflow());
  });
});
