import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** An ingress as GitHub sees it, or any other receiver of POSTs: writes down what comes, and answers `status`, or 400 to those `refused`. */
export interface Receiver {
  readonly url: string;
  status: number;
  /** By guid. */
  readonly refused: Set<string>;
  readonly received: readonly { readonly path: string; readonly guid: string; readonly body: string }[];
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const received: { path: string; guid: string; body: string }[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const guid = String(request.headers["x-github-delivery"] ?? "");
    received.push({ path: request.url ?? "", guid, body: Buffer.concat(chunks).toString() });
    response.writeHead(receiver.refused.has(guid) ? 400 : receiver.status).end("{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    status: 202,
    refused: new Set(),
    received,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return receiver;
}
