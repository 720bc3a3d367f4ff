import { existsSync } from "node:fs";
import { connect } from "node:net";
import { expect } from "chai";
import { startRedis, type TestRedis } from "./redis.ts";

/** One inline command over a socket of its own; undefined when nothing answers in time. */
function ask(redis: TestRedis, command: string, waitMs = 1_000): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(redis.port, "127.0.0.1", () => socket.write(`${command}\r\n`));
    const timer = setTimeout(() => finish(undefined), waitMs);
    const finish = (answer: string | undefined) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    socket.once("data", (data) => finish(data.toString().trim()));
    socket.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}

describe("startRedis", () => {
  let redis: TestRedis;
  beforeEach(async () => {
    redis = await startRedis({ aof: true });
  });
  afterEach(() => redis.stop());

  it("keeps what it acknowledged over kill -9 and a restart on the same port", async () => {
    const { port, pid } = redis;
    expect(await ask(redis, "SET kept yes")).to.equal("+OK");
    await redis.kill();
    await redis.restart();
    expect(redis.port).to.equal(port);
    expect(redis.pid).not.to.equal(pid);
    expect(await ask(redis, "GET kept")).to.contain("yes");
  });

  it("answers nothing while frozen, and goes on when resumed", async () => {
    redis.pause();
    expect(await ask(redis, "PING", 200)).to.equal(undefined);
    redis.resume();
    expect(await ask(redis, "PING")).to.equal("+PONG");
  });

  it("leaves no directory when stopped, even when frozen", async () => {
    redis.pause();
    await redis.stop();
    expect(existsSync(redis.dir)).to.equal(false);
  });
});
