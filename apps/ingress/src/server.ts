import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { closeServer, explainPort } from "@grp/runtime";
import { createExpressServer, type Routes } from "./express-server.ts";

/** GitHub sends a delivery in one go; who takes longer is holding the server. */
const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 1_000,
};
const MAX_CONNECTIONS = 5_000;

/** A delivery is answered within 2 s. */
const CLOSE_GRACE_MS = 3_000;

export interface PublicServer {
  readonly port: number;
  /** Takes nothing new and lets requests under way finish: three seconds, and those in hand as long as `endInHand` takes. */
  close(): Promise<void>;
}

export interface PublicServerOptions {
  readonly port: number;
  readonly host?: string | undefined;
  readonly limits?: Partial<typeof LIMITS> | undefined;
  /** Waits for what takes longer than a delivery. */
  readonly endInHand: () => Promise<void>;
}

/** The public port. Rejects when it is taken. */
export function startPublicServer(
  routes: Routes,
  { port, host, limits, endInHand }: PublicServerOptions,
): Promise<PublicServer> {
  const server: Server = createExpressServer({ ...LIMITS, ...limits }, routes);
  server.maxConnections = MAX_CONNECTIONS;
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => reject(explainPort(error, "PORT", port));
    server.once("error", fail);
    server.listen(port, host, () => {
      server.off("error", fail);
      resolve({
        port: (server.address() as AddressInfo).port,
        async close() {
          const ended = endInHand();
          // Who has hung up holds no connection, but what it asked for is still under way.
          await Promise.all([closeServer(server, CLOSE_GRACE_MS, ended), ended]);
        },
      });
    });
  });
}
