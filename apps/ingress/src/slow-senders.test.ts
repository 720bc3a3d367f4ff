import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect } from "chai";
import { deliver, type TestAnswer, type TestIngress } from "./testing/ingress.ts";
import { workflowJob } from "./testing/payloads.ts";
import { useIngress } from "./testing/suite.ts";

/** Everything the other side says until it closes the connection. */
async function readToEnd(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString();
  });
  // A reset is an end too: `once` would reject for it.
  socket.on("error", () => undefined);
  if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
  return text;
}

/** Sends one byte every few ms for as long as it may. */
function trickle(socket: Socket): void {
  const timer = setInterval(() => socket.write("a"), 20);
  socket.once("close", () => clearInterval(timer));
}

const HEAD = "POST /webhook HTTP/1.1\r\nHost: grp\r\nContent-Type: application/json\r\n";
const LIMITS = { headersTimeout: 200, requestTimeout: 400, connectionsCheckingInterval: 20 };

describe("a slow sender", () => {
  const suite = useIngress();
  const sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  async function dial(ingress: TestIngress): Promise<Socket> {
    const socket = connect(ingress.port, "127.0.0.1");
    sockets.push(socket);
    await once(socket, "connect");
    return socket;
  }

  for (const [what, head] of [
    ["headers", `${HEAD}X-Slow: `],
    ["a body", `${HEAD}Content-Length: 1000000\r\n\r\n`],
    ["a chunked body", `${HEAD}Transfer-Encoding: chunked\r\n\r\nFFFFF\r\n`],
  ] as const) {
    it(`of ${what} is cut off, and holds up nobody else`, async () => {
      const ingress = await suite.start({ limits: LIMITS });
      const socket = await dial(ingress);
      socket.write(head);
      trickle(socket);
      const end = readToEnd(socket);
      expect((await deliver(ingress, workflowJob("queued"))).status).to.equal(202);
      expect(await end).to.match(/^(HTTP\/1.1 408 |$)/);
    });
  }

  it("that says nothing at all is cut off", async () => {
    const ingress = await suite.start({ limits: LIMITS });
    expect(await readToEnd(await dial(ingress))).to.match(/^(HTTP\/1.1 408 |$)/);
  });

  it("that goes away in mid-body leaves nothing behind and no error", async () => {
    const ingress = await suite.start();
    const socket = await dial(ingress);
    socket.write(`${HEAD}Content-Length: 1000\r\n\r\nabc`);
    socket.destroy();
    expect(await ingress.logged("delivery.received")).to.include({ status: 400, reason: "request.aborted" });
    expect(ingress.logLines().filter(({ level }) => level === "error")).to.deep.equal([]);
  });

  it("takes nobody's place, however many there are and however much they announce", async () => {
    const ingress = await suite.start({ admission: { requests: 1, bytes: 1 } });
    const sockets = await Promise.all(Array.from({ length: 50 }, () => dial(ingress)));
    for (const socket of sockets) socket.write(`${HEAD}Content-Length: 26214400\r\n\r\n{`);
    for (let times = 0; times < 5; times++)
      expect((await deliver(ingress, workflowJob("queued"))).status).to.equal(202);
    for (const socket of sockets) expect(socket.readableEnded).to.equal(false);
  });
});

describe("too much at once", () => {
  const suite = useIngress();

  function expectBusy(answer: TestAnswer): void {
    expect(answer.status).to.equal(503);
    expect(answer.body).to.include({ outcome: "unavailable", reason: "busy" });
    expect(answer.headers.get("retry-after")).to.equal("1");
  }

  it("of requests that are worked on: 503, and taken once the others are done", async () => {
    const first = await suite.start();
    let goOn: (() => void) | undefined;
    const gate = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let begun: (() => void) | undefined;
    const isIn = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const recordQueued: typeof first.ledger.recordQueued = async (...order) => {
      begun?.();
      await gate;
      return first.ledger.recordQueued(...order);
    };
    const ingress = await suite.start({
      admission: { requests: 1, bytes: 1e9 },
      context: { ledger: { ...first.ledger, recordQueued } },
    });
    const held = deliver(ingress, workflowJob("queued"));
    await isIn;
    expectBusy(await deliver(ingress, workflowJob("queued")));
    expect(await ingress.logged("delivery.received")).to.include({ level: "warn", reason: "busy" });
    goOn?.();
    expect((await held).status).to.equal(202);
    expect((await untilTaken(ingress)).status).to.equal(202);
  });

  it("of bytes: large bodies beyond the room are told 503, small ones are taken all the same", async () => {
    const ingress = await suite.start({ admission: { requests: 100, bytes: 500_000 } });
    const large = (bytes: number) => ({ ...workflowJob("queued"), padding: "x".repeat(bytes) });
    expect((await deliver(ingress, large(400_000))).status).to.equal(202);
    expectBusy(await deliver(ingress, large(600_000)));
    const [socket, answer] = await fillRoom(ingress, large(100_000));
    expectBusy(answer);
    expect((await deliver(ingress, workflowJob("queued"))).status).to.equal(202);
    socket.destroy();
    expect((await untilTaken(ingress, large(100_000))).status).to.equal(202);
  });

  /** A body of which enough is there to leave no room for `payload`, and what that is told. */
  async function fillRoom(ingress: TestIngress, payload: object): Promise<[Socket, TestAnswer]> {
    for (const end = Date.now() + 8_000; ; ) {
      const socket = connect(ingress.port, "127.0.0.1");
      await once(socket, "connect");
      const head = `${HEAD}Content-Length: 9000000\r\n\r\n`;
      await new Promise((resolve) => socket.write(`${head}${"x".repeat(550_000)}`, resolve));
      for (const _time of [1, 2, 3]) await deliver(ingress, workflowJob("queued"));
      const answer = await deliver(ingress, payload);
      if (answer.status === 503 || Date.now() > end) return [socket, answer];
      // It came before the last of those bytes, which then had no room themselves.
      socket.destroy();
    }
  }

  /** A place is given back when the answer is out, which may be a moment after it has been read. */
  async function untilTaken(
    ingress: TestIngress,
    payload: object = workflowJob("queued"),
  ): Promise<TestAnswer> {
    const end = Date.now() + 5_000;
    for (;;) {
      const answer = await deliver(ingress, payload);
      if (answer.status !== 503 || Date.now() > end) return answer;
    }
  }
});
