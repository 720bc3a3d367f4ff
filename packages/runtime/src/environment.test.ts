import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { z } from "zod";
import {
  ConfigError,
  describeEnvironment,
  loadEnvironment,
  readEnvironment,
  reportConfigError,
  type SettingRule,
} from "./environment.ts";
import { oneOf, pem, port, redisUrl, url } from "./settings.ts";

const schema = z.object({
  WEBHOOK_TOKEN: z.string().min(8, "must have at least 8 characters").describe("The webhook's secret."),
  PORT: port().default(3000).describe("Public port."),
  PUBLIC_URL: url().optional().describe("How machines reach the ingress."),
  REDIS_URL: redisUrl().describe("Redis 7 or Valkey."),
  LOG_LEVEL: oneOf("debug", "info").default("info").describe("How much to log."),
});

const good = { WEBHOOK_TOKEN: "long enough", REDIS_URL: "redis://127.0.0.1:6379" };

function faultsOf(environment: Record<string, string>, rules: SettingRule[] = []): ConfigError {
  try {
    readEnvironment(schema, environment, rules);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("no fault was found");
}

describe("readEnvironment", () => {
  it("gives typed values, defaults, and nothing that was not asked for", () => {
    const settings = readEnvironment(schema, {
      ...good,
      PUBLIC_URL: "https://a.test/",
      HOME: "/",
    });
    expect(settings).to.deep.equal({
      ...good,
      PORT: 3000,
      PUBLIC_URL: "https://a.test",
      LOG_LEVEL: "info",
    });
  });

  it("names every missing and bad setting at once, with what to do", () => {
    const error = faultsOf({ PORT: "abc", PUBLIC_URL: "ftp://x", LOG_LEVEL: "loud" });
    expect(error.faults.map(({ name }) => name)).to.have.members([
      ...["WEBHOOK_TOKEN", "PORT", "PUBLIC_URL", "REDIS_URL", "LOG_LEVEL"],
    ]);
    expect(error.message).to.contain("5 settings are missing or wrong");
    expect(error.message).to.match(/REDIS_URL +is not set\. Redis 7 or Valkey\./);
    expect(error.message).to.contain('PORT           must be a whole number from 0 to 65535 (is "abc")');
    expect(error.message).to.contain('LOG_LEVEL      must be one of debug, info (is "loud")');
  });

  it("shows no password of a URL, however ill it is written", () => {
    for (const url of [
      ...["redis//:hunter2@redis:6379", ":hunter2@redis:6379", "rediss:/:hunter2@redis:6379"],
      ...["rediss:/:hunter2.redis", "grp.redis.cache.windows.net:6380,password=hunter2,ssl=True"],
    ]) {
      const { message } = faultsOf({ ...good, REDIS_URL: url });
      expect(message, url).to.match(/REDIS_URL +must be a URL that begins with redis:\/\//);
      expect(message, url).not.to.contain("hunter2");
    }
    const { message } = faultsOf({
      ...good,
      PUBLIC_URL: "hooks.example.com/key/hunter2",
      PORT: "a:hunter2@b",
    });
    expect(message).to.contain("2 settings are").and.not.to.contain("hunter2");
  });

  it("takes no path of a Redis but the number of a database", () => {
    for (const path of ["/abc", "/1/2", "/-1"])
      expect(faultsOf({ ...good, REDIS_URL: `redis://redis:6379${path}` }).message).to.match(
        /REDIS_URL +must end with its host and port/,
      );
    for (const path of ["", "/", "/3"])
      expect(
        readEnvironment(schema, { ...good, REDIS_URL: `redis://redis:6379${path}` }).REDIS_URL,
      ).to.contain(":6379");
  });

  it("runs the rules over several settings even when single ones are wrong", () => {
    const either: SettingRule = (given) =>
      given.GITHUB_TOKEN === undefined
        ? { name: "GITHUB_TOKEN", problem: "is not set, nor is an App", remedy: "" }
        : undefined;
    expect(faultsOf({ ...good, PORT: "-1" }, [either]).faults.map(({ name }) => name)).to.deep.equal([
      "PORT",
      "GITHUB_TOKEN",
    ]);
    expect(faultsOf(good, [either]).faults).to.have.length(1);
  });

  it("never prints the value of a secret, nor the password in a URL", () => {
    const { message } = faultsOf({ WEBHOOK_TOKEN: "hushhus", REDIS_URL: "http://me:hunter22@redis" });
    expect(message).not.to.contain("hushhus");
    expect(message).not.to.contain("hunter22");
  });

  it("takes an empty variable as not set", () => {
    expect(faultsOf({ ...good, WEBHOOK_TOKEN: "  " }).message).to.match(/WEBHOOK_TOKEN +is not set/);
    expect(readEnvironment(schema, { ...good, PORT: "" }).PORT).to.equal(3000);
  });

  it("takes a private key with its line ends written as two characters", () => {
    const key = "-----BEGIN RSA PRIVATE KEY-----\\nabc\\n-----END RSA PRIVATE KEY-----";
    const settings = readEnvironment(z.object({ KEY: pem() }), { KEY: key });
    expect(settings.KEY).to.equal("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\n");
    const ofWindows = key.replaceAll("\\n", "\r\n");
    for (const KEY of [ofWindows, ofWindows.replaceAll("\r\n", "\\r\\n"), `\uFEFF${ofWindows}`])
      expect(readEnvironment(z.object({ KEY: pem() }), { KEY }).KEY).to.equal(settings.KEY);
    expect(() => readEnvironment(z.object({ KEY: pem() }), { KEY: "/a/path" })).to.throw(
      ConfigError,
      /PEM block/,
    );
  });
});

describe("describeEnvironment", () => {
  it("lists each setting with its purpose and its default", () => {
    const text = describeEnvironment(schema);
    expect(text).to.match(/WEBHOOK_TOKEN +The webhook's secret\. Required\./);
    expect(text).to.match(/PORT +Public port\. Default: 3000\./);
    expect(text).to.match(/PUBLIC_URL +How machines reach the ingress\.$/m);
  });
});

describe("reportConfigError", () => {
  it("prints the faults and gives exit code 2", () => {
    const printed: string[] = [];
    expect(reportConfigError(faultsOf({}), (text) => printed.push(text))).to.equal(2);
    expect(printed.join()).to.contain("REDIS_URL");
  });

  it("throws on what is no fault of the settings", () => {
    expect(() => reportConfigError(new TypeError("bug"))).to.throw(TypeError);
  });
});

describe("loadEnvironment", () => {
  let folder: string;
  const here = process.cwd();
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "grp-env-"));
  });
  after(() => rmSync(folder, { recursive: true }));
  const kept = process.env.GRP_ENV_FILE;
  afterEach(() => {
    process.chdir(here);
    for (const name of ["GRP_ENV_FILE", "GRP_TEST_A", "GRP_TEST_B"]) delete process.env[name];
    if (kept !== undefined) process.env.GRP_ENV_FILE = kept;
  });

  const load = (text: string) => {
    const file = join(folder, "some.env");
    writeFileSync(file, text);
    process.env.GRP_ENV_FILE = file;
    return loadEnvironment();
  };

  it("fills the environment up from the file, and what is set already wins", () => {
    process.env.GRP_TEST_A = "set";
    expect(load("GRP_TEST_A=file\nGRP_TEST_B='quoted value'\n")).to.include({
      GRP_TEST_A: "set",
      GRP_TEST_B: "quoted value",
    });
  });

  it("reads the first line of a file with a byte order mark, and the line ends of Windows", () => {
    expect(load("\uFEFFGRP_TEST_A=first\r\nGRP_TEST_B=second\r\n")).to.include({
      GRP_TEST_A: "first",
      GRP_TEST_B: "second",
    });
  });

  it("says which file can't be read, be it named or .env", () => {
    process.env.GRP_ENV_FILE = join(folder, "none.env");
    expect(loadEnvironment).to.throw(
      ConfigError,
      /GRP_ENV_FILE +can't be read: .*none\.env \(ENOENT\)\. It names/,
    );
    process.chdir(folder);
    delete process.env.GRP_ENV_FILE;
    expect(loadEnvironment).not.to.throw();
    mkdirSync(".env");
    expect(loadEnvironment).to.throw(ConfigError, /GRP_ENV_FILE +can't be read: \.env \(EISDIR\)/);
  });
});
