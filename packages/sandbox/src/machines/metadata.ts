import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Metadata {
  readonly url: string;
  /** Spot capacity will be taken back: seen at `spot/instance-action` from now on. */
  announceInterruption(atMs: number): void;
  close(): Promise<void>;
}

export interface MetadataOptions {
  /** By path under `/latest/`. */
  readonly values: Readonly<Record<string, string>>;
  /** The machine's `shutdown` was called. */
  readonly onShutdown: () => void;
}

/** One machine's instance metadata service, version 2 only (a token first), and the bell that its `shutdown` rings. */
export async function startMetadata(options: MetadataOptions): Promise<Metadata> {
  const values = new Map(Object.entries(options.values));
  const tokens = new Set<string>();

  function mintToken(request: IncomingMessage): [status: number, body?: string] {
    if (request.method !== "PUT" || !request.headers["x-aws-ec2-metadata-token-ttl-seconds"]) return [400];
    const token = randomBytes(20).toString("base64url");
    tokens.add(token);
    return [200, token];
  }

  function look(request: IncomingMessage): [status: number, body?: string] {
    const path = request.url ?? "/";
    if (path === "/latest/api/token") return mintToken(request);
    if (!tokens.has(String(request.headers["x-aws-ec2-metadata-token"]))) return [401];
    const value = values.get(path.replace(/^\/latest\//, ""));
    return value === undefined ? [404] : [200, value];
  }

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const isShutdown = request.url === "/_sandbox/shutdown";
    const [status, body = ""] = isShutdown ? [204] : look(request);
    response.writeHead(status).end(body);
    if (isShutdown) options.onShutdown();
  }

  const server = createServer(answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    announceInterruption(atMs) {
      const time = new Date(atMs).toISOString().replace(/\.\d+/, "");
      values.set("meta-data/spot/instance-action", JSON.stringify({ action: "terminate", time }));
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
