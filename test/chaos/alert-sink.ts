import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Who gets the alerts, as Slack does: whoever knows its address can post there. */
export interface AlertSink {
  readonly url: string;
  readonly texts: readonly string[];
  close(): Promise<void>;
}

export async function startAlertSink(): Promise<AlertSink> {
  const texts: string[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    texts.push((JSON.parse(Buffer.concat(chunks).toString()) as { text: string }).text);
    response.writeHead(200).end("ok");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/services/${randomBytes(18).toString("hex")}`,
    texts,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Alerts that told of dead letters. */
export function countDeadAlerts(texts: readonly string[]): number {
  return texts.filter((text) => / (has|have) no runner/.test(text)).length;
}
