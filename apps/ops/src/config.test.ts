import { expect } from "chai";
import { readCliConfig, readOpsConfig } from "./config.ts";

const REDIS_URL = "redis://127.0.0.1:6379";

describe("readOpsConfig", () => {
  it("refuses to start without a password, and says what to do", () => {
    expect(() => readOpsConfig({ REDIS_URL })).to.throw(/OPS_PASSWORD\s+is not set.*OPS_ANONYMOUS/);
  });

  it("lets go of the password only on the loopback", () => {
    const anonymous = { REDIS_URL, OPS_ANONYMOUS: " Yes " };
    expect(() => readOpsConfig(anonymous)).to.throw(/OPS_HOST/);
    expect(() => readOpsConfig({ ...anonymous, OPS_HOST: "0.0.0.0" })).to.throw(/loopback/);
    expect(readOpsConfig({ ...anonymous, OPS_HOST: "127.0.0.1" })).not.to.have.property("credentials");
  });

  it("names every fault at once", () => {
    expect(() => readOpsConfig({ OPS_PORT: "99999", OPS_READ_ONLY: "maybe" })).to.throw(
      /REDIS_URL[\s\S]*OPS_PORT[\s\S]*OPS_READ_ONLY[\s\S]*OPS_PASSWORD/,
    );
  });

  it("refuses one port for both servers", () => {
    expect(() => readOpsConfig({ REDIS_URL, OPS_PASSWORD: "long enough", INTERNAL_PORT: "3010" })).to.throw(
      /INTERNAL_PORT +is 3010, and so is OPS_PORT/,
    );
  });

  it("is read-only unless told otherwise", () => {
    const given = { REDIS_URL, OPS_PASSWORD: "long enough" };
    expect(readOpsConfig(given)).to.deep.equal({
      ...{ redisUrl: REDIS_URL, port: 3010, host: "0.0.0.0", isReadOnly: true, internalPort: 3003 },
      ...{ logLevel: "info", credentials: { user: "grp", password: "long enough" } },
      catalog: { runnersFile: "runners.yaml", useCodemagic: true, environment: given },
    });
    expect(readOpsConfig({ ...given, OPS_READ_ONLY: "false" }).isReadOnly).to.equal(false);
  });
});

describe("readCliConfig", () => {
  it("needs nothing", () => {
    expect(readCliConfig({})).to.deep.include({
      opsUrl: "http://127.0.0.1:3010",
      runnersFile: "runners.yaml",
    });
  });
});
