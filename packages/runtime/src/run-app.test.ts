import { EventEmitter } from "node:events";
import { expect } from "chai";
import type { Logger } from "./logger.ts";
import { type AppOptions, type CloseStep, runApp } from "./run-app.ts";

/** A process that only remembers: what was logged, and how it would have ended. */
class FakeProcess extends EventEmitter {
  readonly exits: number[] = [];
  readonly log: string[] = [];
  exit(code: number): void {
    this.exits.push(code);
    this.emit("exited");
  }
  readonly logger: Logger = {
    debug: () => {},
    info: (message) => void this.log.push(message),
    warn: (message) => void this.log.push(message),
    error: (message, fields) => void this.log.push(`${message} ${fields?.step ?? ""}`.trim()),
  };
}

function exited(host: FakeProcess): Promise<void> {
  return new Promise((resolve) => host.once("exited", () => resolve()));
}

describe("runApp", () => {
  let host: FakeProcess;
  let ended: string[];
  beforeEach(() => {
    host = new FakeProcess();
    ended = [];
  });

  const step = (name: string, close: () => Promise<void> = async () => {}): CloseStep => ({
    name,
    close: async () => {
      ended.push(name);
      await close();
    },
  });
  const run = (steps: CloseStep[], options: Partial<AppOptions> = {}) =>
    runApp({ logger: host.logger, start: async () => steps, closeDeadlineMs: 1_000, host, ...options });

  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
    it(`ends every step in order on ${signal} and exits 0`, async () => {
      await run([step("server"), step("worker"), step("redis")]);
      host.emit(signal);
      await exited(host);
      expect(ended).to.deep.equal(["server", "worker", "redis"]);
      expect(host.exits).to.deep.equal([0]);
      expect(host.log).to.deep.equal(["process.started", "process.stopping", "process.stopped"]);
      expect(host.eventNames()).to.deep.equal([]);
    });
  }

  it("goes on to the next step when one fails, and exits 1", async () => {
    await run([step("server", () => Promise.reject(new Error("stuck"))), step("redis")]);
    host.emit("SIGTERM");
    await exited(host);
    expect(ended).to.deep.equal(["server", "redis"]);
    expect(host.exits).to.deep.equal([1]);
    expect(host.log).to.include("process.closeFailed server");
  });

  it("exits 1 at the deadline when a step never ends", async () => {
    await run([step("server", () => new Promise(() => {})), step("redis")], { closeDeadlineMs: 30 });
    const begun = performance.now();
    host.emit("SIGTERM");
    await exited(host);
    expect(performance.now() - begun).to.be.within(25, 500);
    expect(host.exits).to.deep.equal([1]);
    expect(ended).to.deep.equal(["server"]);
  });

  it("exits at once on a second signal", async () => {
    await run([step("server", () => new Promise(() => {}))], { closeDeadlineMs: 200 });
    host.emit("SIGINT");
    host.emit("SIGINT");
    expect(host.exits).to.deep.equal([1]);
    await exited(host);
  });

  for (const signal of ["disconnect", "SIGHUP"]) {
    it(`ends by itself on ${signal}, and takes that for no second signal`, async () => {
      await run([step("server")]);
      host.emit(signal);
      host.emit(signal);
      await exited(host);
      expect(host.exits).to.deep.equal([0]);
    });
  }

  it("exits 1 when it cannot start", async () => {
    await run([], { start: () => Promise.reject(new Error("port taken")) });
    expect(host.exits).to.deep.equal([1]);
    expect(host.log).to.deep.equal(["process.failed"]);
  });

  it("closes what was still starting when the signal came", async () => {
    let started: (steps: CloseStep[]) => void = () => {};
    const running = run([], { start: () => new Promise((resolve) => (started = resolve)) });
    await Promise.resolve();
    host.emit("SIGTERM");
    started([step("server")]);
    await exited(host);
    await running;
    expect(ended).to.deep.equal(["server"]);
    expect(host.exits).to.deep.equal([0]);
  });

  it("logs what nobody caught and exits 1", async () => {
    await run([]);
    host.emit("unhandledRejection", new Error("forgotten"));
    expect(host.exits).to.deep.equal([1]);
    expect(host.log).to.include("process.unhandledRejection");
  });
});
