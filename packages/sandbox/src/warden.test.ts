import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { expect } from "chai";

const run = promisify(execFile);
const WARDEN = new URL("./warden.ts", import.meta.url).href;

/** Starts two sleepers, of which one is let go again, and then waits to be killed. */
const PARENT = `
import { spawn } from "node:child_process";
import { guard } from "${WARDEN}";
const start = () => spawn("sleep", ["60"], { detached: true, stdio: "ignore" });
const [kept, freed] = [start(), start()];
guard(kept.pid);
guard(freed.pid)();
console.log(kept.pid + " " + freed.pid);
setInterval(() => {}, 1_000);
`;

/** A zombie that nobody has reaped yet is gone. */
async function isAlive(pid: number): Promise<boolean> {
  const { stdout } = await run("ps", ["-o", "stat=", "-p", String(pid)]).catch(() => ({ stdout: "" }));
  return stdout.trim() !== "" && !stdout.trim().startsWith("Z");
}

describe("guard", function () {
  this.timeout(30_000);

  it("kills the children of a process that was killed, and not those that it let go", async () => {
    const parent = spawn(process.execPath, ["--input-type=module", "-e", PARENT], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(createInterface(parent.stdout), "line")) as [string];
    const [kept = 0, freed = 0] = line.split(" ").map(Number);
    try {
      expect([await isAlive(kept), await isAlive(freed)]).to.deep.equal([true, true]);
      parent.kill("SIGKILL");
      await once(parent, "close");
      while (await isAlive(kept)) await sleep(20);
      expect(await isAlive(freed)).to.equal(true);
    } finally {
      process.kill(freed, "SIGKILL");
    }
  });
});
