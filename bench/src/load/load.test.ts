import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { verify } from "@octokit/webhooks-methods";
import { expect } from "chai";
import { readAnswer } from "./connection.ts";
import { type LoadOptions, requireRate, runLoad } from "./load.ts";
import { queuedPayload } from "./payload.ts";

const SECRET = "a secret for tests";

describe("the load generator", () => {
  let server: Server;
  let seen: { id: number; deliveryId: string; isSigned: boolean }[] = [];
  let status = 202;
  let answerMs = 0;
  let options: LoadOptions;

  before(async () => {
    server = createServer(async (request, response) => {
      const body = (await buffer(request)).toString();
      seen.push({
        id: (JSON.parse(body) as { workflow_job: { id: number } }).workflow_job.id,
        deliveryId: String(request.headers["x-github-delivery"]),
        isSigned: await verify(SECRET, body, String(request.headers["x-hub-signature-256"])),
      });
      if (answerMs > 0) await sleep(answerMs);
      response.writeHead(status, { "Content-Length": 2 }).end("{}");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  beforeEach(() => {
    [seen, status, answerMs] = [[], 202, 0];
    options = {
      ...{
        path: "/webhook",
        event: "workflow_job",
        payload: queuedPayload("acme", ["linux"]),
        secret: SECRET,
      },
      ...{ count: 20, first: 7, isRepeating: false, isForged: false },
      ...{ ports: [(server.address() as AddressInfo).port], connections: 4, warmSeconds: 0 },
    };
  });
  after(() => once(server.close(), "close"));

  const run = () => runLoad(options, { pids: [process.pid], expect: 202 });

  it("sends as many deliveries as told, each a workflow job of its own and rightly signed", async () => {
    const load = await run();
    expect(load).to.deep.include({ answers: 20, statuses: { 202: 20 } });
    expect(seen.every(({ isSigned }) => isSigned)).to.equal(true);
    expect(new Set(seen.map(({ id }) => id))).to.have.lengthOf(20);
    expect(new Set(seen.map(({ deliveryId }) => deliveryId))).to.have.lengthOf(20);
  });

  it("forges each signature when told to", async () => {
    options = { ...options, isForged: true };
    await run();
    expect(seen.some(({ isSigned }) => isSigned)).to.equal(false);
  });

  it("keeps to a rate and measures from the moment a request was due", async () => {
    const load = await runLoad(
      { ...options, count: 1_000, ratePerSecond: 100, seconds: 1 },
      { pids: [], expect: 202 },
    );
    expect(load.answers).to.be.within(80, 110);
    expect(load.p50Ms).to.be.greaterThan(0);
  });

  it("finds out when the server did not keep up with the rate", async () => {
    answerMs = 100;
    // Four connections bring 40 answers a second at most.
    const load = await runLoad(
      { ...options, count: 1_000, ratePerSecond: 100, seconds: 1 },
      { pids: [], expect: 202 },
    );
    expect(() => requireRate(load, 100)).to.throw(/only \d\d of 100 answers\/s/);
    expect(() => requireRate({ answers: 5_880, seconds: 6 }, 1_000)).not.to.throw();
    expect(() => requireRate({ answers: 5_879, seconds: 6 }, 1_000)).to.throw(/only 980 of 1000/);
  });

  it("rejects answers of another status than expected", async () => {
    status = 503;
    const failure = await run().catch((error: unknown) => error);
    expect(String(failure)).to.match(/answers other than 202: {"503":20}/);
  });

  it("takes an answer for whole only when its body is there", () => {
    const head = "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n";
    expect(readAnswer(head.slice(0, 20))).to.equal(undefined);
    expect(readAnswer(`${head}{`)).to.equal(undefined);
    expect(readAnswer(`${head}{}`)).to.equal(202);
  });
});
