import { PassThrough } from "node:stream";
import { expect } from "chai";
import { createLogger, type Logger, type LogLevel } from "./logger.ts";

function record(level: LogLevel): { logger: Logger; lines(): Record<string, unknown>[] } {
  const stream = new PassThrough();
  const text = () => (stream.read() as Buffer | null)?.toString() ?? "";
  return {
    logger: createLogger({ app: "test", level, stream }),
    lines: () =>
      text()
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
  };
}

describe("createLogger", () => {
  it("writes one JSON object a line, with the fields beside the message", () => {
    const { logger, lines } = record("info");
    logger.info("runner.provisioned", { key: "wfj-1", text: "two\nlines" });
    const [line, ...rest] = lines();
    expect(rest).to.have.length(0);
    expect(line).to.include({ level: "info", app: "test", message: "runner.provisioned", key: "wfj-1" });
    expect(Date.parse(String(line?.time))).to.be.closeTo(Date.now(), 5_000);
  });

  it("keeps quiet below its level", () => {
    const { logger, lines } = record("warn");
    logger.debug("a");
    logger.info("b");
    logger.warn("c");
    logger.error("d");
    expect(lines().map(({ message }) => message)).to.deep.equal(["c", "d"]);
  });

  it("redacts fields, error causes and the message itself", () => {
    const { logger, lines } = record("debug");
    const cause = new Error("Bearer abc.def was refused");
    logger.error("failed with ghp_16C7e42F292c6912E7710c838347Ae178B4a", {
      error: new Error("outer", { cause }),
      token: "abc",
    });
    const text = JSON.stringify(lines());
    expect(text).not.to.contain("ghp_").and.not.to.contain("abc");
    expect(text).to.contain("outer").and.to.contain("was refused");
  });

  it("lets no field overwrite the line's own", () => {
    const { logger, lines } = record("info");
    logger.info("real", { message: "fake", level: "error", app: "other", time: "never", splat: 1 });
    expect(lines()[0]).to.include({ message: "real", level: "info", app: "test", splat: 1 });
  });
});
