import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect } from "chai";
import { deliver, type TestIngress } from "./testing/ingress.ts";
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
    const ingress = await suite.start({ admission: { requests: 1, bytes: 1e9 } });
    const socket = await dial(ingress);
    socket.write(`${HEAD}Content-Length: 1000\r\n\r\nabc`);
    await busy(ingress);
    socket.destroy();
    await free(ingress);
    expect(ingress.logLines().filter(({ level }) => level === "error")).to.deep.equal([]);
  });

  it("takes one of the places, and who comes beyond them is told 503 and to come back", async () => {
    const ingress = await suite.start({ admission: { requests: 1, bytes: 1e9 } });
    const socket = await dial(ingress);
    socket.write(`${HEAD}Content-Length: 2\r\n\r\n{`);
    const answer = await busy(ingress);
    expect(answer.status).to.equal(503);
    expect(answer.body).to.include({ outcome: "unavailable", reason: "busy" });
    expect(answer.headers.get("retry-after")).to.equal("1");
    const end = readToEnd(socket);
    socket.end("}");
    expect(await end).to.match(/^HTTP\/1.1 400 /);
    expect((await free(ingress)).status).to.equal(202);
  });

  it("has only the room that all bodies together may take", async () => {
    const ingress = await suite.start({ admission: { requests: 100, bytes: 1_000_000 } });
    const socket = await dial(ingress);
    socket.write(`${HEAD}Content-Length: 999000\r\n\r\n{`);
    expect((await busy(ingress)).body).to.include({ outcome: "unavailable", reason: "busy" });
    socket.destroy();
    expect((await free(ingress)).status).to.equal(202);
  });

  /** Until the slow request has been seen. */
  const busy = (ingress: TestIngress) => until(ingress, (status) => status === 503);
  const free = (ingress: TestIngress) => until(ingress, (status) => status === 202);

  async function until(ingress: TestIngress, isIt: (status: number) => boolean) {
    const end = Date.now() + 5_000;
    for (;;) {
      const answer = await deliver(ingress, workflowJob("queued"));
      if (isIt(answer.status)) return answer;
      if (Date.now() > end) throw new Error(`still ${answer.status}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
});
