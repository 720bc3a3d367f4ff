import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";

/** TCP ports of 127.0.0.1 that were free a moment ago, all different. */
export async function findFreePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

/** Whether Redis answers a PING on that port. */
export async function redisAnswers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const signal = AbortSignal.timeout(1_000);
  try {
    await once(socket, "connect", { signal });
    socket.write("PING\r\n");
    const [data] = await once(socket, "data", { signal });
    return String(data).startsWith("+PONG");
  } finally {
    socket.destroy();
  }
}

/** Whether an address answers with 200. */
export async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  await response.body?.cancel();
  return response.status === 200;
}
