import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { expect } from "chai";
import express from "express";
import { listen } from "./internal-server.ts";
import { explainPort, PortError } from "./port-error.ts";

describe("a port that can't be had", () => {
  it("is told by the setting that named it", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const error = await listen(express(), { port, host: "127.0.0.1", setting: "OPS_PORT" }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    other.close();
    expect(error).to.be.instanceOf(PortError);
    expect(error)
      .to.have.property("message")
      .that.matches(/^OPS_PORT \d+ is taken by another process: /);
  });

  it("is told by the setting that named an address of another machine, or a name of none", async () => {
    const foreign = listen(express(), { port: 0, host: "192.0.2.1", setting: "OPS_PORT" });
    const error = await foreign.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(PortError);
    expect(error).to.have.property(
      "message",
      "OPS_HOST 192.0.2.1 is no address of this machine: mend it, or leave it out",
    );
    const unknown = Object.assign(new Error("getaddrinfo ENOTFOUND nowhere"), {
      code: "ENOTFOUND",
      hostname: "nowhere",
    });
    expect(explainPort(unknown, "PORT", 3000).message).to.match(
      /^HOST nowhere is no address of this machine: /,
    );
  });

  it("leaves every other error as it is", () => {
    const error = new Error("no");
    expect(explainPort(error, "PORT", 1)).to.equal(error);
  });
});
