import { createHmac } from "node:crypto";
import { type Connection, openConnection } from "./connection.ts";

export interface PostOptions {
  readonly port: number;
  readonly secret: string;
  readonly connections: number;
  /** The answer that each must get. */
  readonly expect: number;
}

/** Posts each payload as a `workflow_job` delivery, some at a time; resolves when all are answered. */
export async function postAll(
  payloads: Generator<string, undefined>,
  { port, secret, connections, expect }: PostOptions,
): Promise<void> {
  let sent = 0;
  const next = (): Buffer | undefined => {
    const { value, done } = payloads.next();
    return done ? undefined : compose(value, { number: sent++, secret });
  };
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const answered = Promise.withResolvers<void>();
      const go = (connection: Connection) => {
        const request = next();
        if (request) connection.send(request);
        else answered.resolve();
      };
      const connection = await openConnection(port, {
        onAnswer(status) {
          if (status === expect) go(connection);
          else answered.reject(new Error(`an answer of ${status}, not ${expect}`));
        },
        onError: answered.reject,
      });
      go(connection);
      await answered.promise.finally(() => connection.close());
    }),
  );
}

function compose(payload: string, { number, secret }: { number: number; secret: string }): Buffer {
  const body = Buffer.from(payload);
  const head = [
    "POST /webhook HTTP/1.1",
    "Host: grp.example.com",
    "Content-Type: application/json",
    "X-GitHub-Event: workflow_job",
    `X-GitHub-Delivery: post-${number}`,
    `X-Hub-Signature-256: sha256=${createHmac("sha256", secret).update(body).digest("hex")}`,
    `Content-Length: ${body.length}`,
    "\r\n",
  ];
  return Buffer.concat([Buffer.from(head.join("\r\n"), "latin1"), body]);
}
