import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";
import { startRedis, type TestRedis } from "../../../test/support/redis.ts";
import { createBudget } from "../../ledger/src/index.ts";
import { closeRedis, createRedis } from "../../runtime/src/index.ts";
import { createGitHub } from "./github.ts";
import type { GitHub } from "./types.ts";

const { signal } = new AbortController();

describe("an outage of GitHub", () => {
  let redisServer: TestRedis;
  let clients: ReturnType<typeof createRedis>[];
  let now: number;
  let server: Server;
  let port: number;
  let answer: { status: number; left?: number };
  let served: number;

  before(async () => {
    redisServer = await startRedis();
    clients = [1, 2].map(() => createRedis(redisServer.url, { name: "test", onError: () => undefined }));
    await Promise.all(clients.map((client) => once(client, "ready")));
  });
  after(async () => {
    await Promise.all(clients.map(closeRedis));
    await redisServer.stop();
  });
  beforeEach(async () => {
    await clients[0]?.flushall();
    [now, served, answer] = [Date.now(), 0, { status: 200, left: 30 }];
    server = createServer((_request, response) => {
      served += 1;
      const { status, left } = answer;
      const limit = {
        "x-ratelimit-limit": "5000",
        "x-ratelimit-remaining": String(left),
        "x-ratelimit-reset": String(Math.floor(now / 1_000) + 3_000),
        "x-ratelimit-resource": "core",
      };
      response.writeHead(status, { "content-type": "application/json", ...(left !== undefined && limit) });
      response.end(JSON.stringify({ id: 1, run_id: 1, status: "queued", labels: [] }));
    });
    await listen(0);
    port = (server.address() as AddressInfo).port;
  });
  afterEach(stop);

  async function listen(at: number) {
    await once(server.listen(at, "127.0.0.1"), "listening");
  }
  async function stop() {
    if (!server.listening) return;
    server.closeAllConnections();
    await once(server.close(), "close");
  }
  /** Two processes, each with a connection of its own. */
  const connect = () =>
    clients.map((redis) =>
      createGitHub({
        auth: { kind: "pat", token: "x" },
        ...{ baseUrl: `http://127.0.0.1:${port}`, now: () => now },
        budget: createBudget({ redis, now: () => now }),
      }),
    ) as [GitHub, GitHub];
  const ask = (github: GitHub) =>
    github.getWorkflowJob({ owner: "acme", repository: "app", workflowJobId: 1 }, signal).then(
      () => "ok",
      (error: { code?: string }) => error.code,
    );
  async function askAll(sides: readonly GitHub[], times: number): Promise<Set<string | undefined>> {
    const codes = new Set<string | undefined>();
    for (let time = 0; time < times; time++)
      for (const code of await Promise.all(sides.map(ask))) codes.add(code);
    return codes;
  }

  it("that takes no connection costs nothing of the hour: the first request after it goes out", async () => {
    const sides = connect();
    expect(await ask(sides[0])).to.equal("ok");
    await stop();
    expect([...(await askAll(sides, 40))]).to.deep.equal(["ECONNREFUSED"]);
    await listen(port);
    expect(await ask(sides[1])).to.equal("ok");
    expect(served).to.equal(2);
  });

  it("that answers 502 and no count costs nothing of the hour", async () => {
    const sides = connect();
    expect(await ask(sides[0])).to.equal("ok");
    answer = { status: 502 };
    const codes = await askAll(sides, 40);
    expect([...codes])
      .to.have.lengthOf(1)
      .and.not.to.include.members(["in_line"]);
    answer = { status: 200, left: 0 };
    expect(await ask(sides[1])).to.equal("ok");
    expect(served).to.equal(82);
    // That was the last one of the hour, and GitHub says so: now also the other process waits for the next.
    expect(await ask(sides[0])).to.equal("in_line");
    now += 3_000_000;
    answer = { status: 200, left: 4_999 };
    expect([await ask(sides[0]), await ask(sides[1])]).to.deep.equal(["ok", "ok"]);
  });

  it("leaves what a refusal taught: nothing goes out before the time that it told", async () => {
    const sides = connect();
    answer = { status: 403, left: 0 };
    expect(await ask(sides[0])).not.to.equal("ok");
    answer = { status: 200, left: 4_999 };
    now += 2_990_000;
    expect([...(await askAll(sides, 3))]).not.to.include("ok");
    expect(served).to.equal(1);
    now += 20_000;
    expect(await ask(sides[1])).to.equal("ok");
  });
});
