import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { batchLines } from "./batch-lines.ts";

describe("batchLines", () => {
  it("writes the lines of one turn of the event loop at once, in order", async () => {
    const written: string[] = [];
    const sink = batchLines({ write: (lines) => written.push(lines) }, new EventEmitter() as NodeJS.Process);
    sink.write("a\n");
    sink.write("b\n");
    await new Promise((resolve) => setImmediate(resolve));
    sink.write("c\n");
    await new Promise((resolve) => setImmediate(resolve));
    expect(written).to.deep.equal(["a\nb\n", "c\n"]);
  });

  for (const [how, end] of [
    ["ends by itself", ""],
    ["is ended", "process.exit(0);"],
    ["dies of an error", 'throw new Error("a bug");'],
  ] as const) {
    it(`loses no line when the process ${how}`, async () => {
      const module = JSON.stringify(new URL("batch-lines.ts", import.meta.url).href);
      const script = `
        import { batchLines } from ${module};
        const sink = batchLines(process.stdout);
        for (let i = 0; i < 1000; i += 1) sink.write(\`\${i}\\n\`);
        ${end}`;
      const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      const [output] = await Promise.all([text(child.stdout), once(child, "exit")]);
      expect(output.trim().split("\n")).to.have.lengthOf(1_000);
    });
  }
});
