import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "chai";

const run = promisify(execFile);
const CLI = join(import.meta.dirname, "cli.ts");

describe("the program grp", function () {
  this.timeout(30_000);

  it("ends quietly when whoever reads its output has read enough", async () => {
    // The reader is gone before the first word is written.
    const script = `"$0" "$1" --help | true; echo "code \${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await run("bash", ["-c", script, process.execPath, CLI]);
    expect([stdout, stderr]).to.deep.equal(["code 0\n", ""]);
  });
});
