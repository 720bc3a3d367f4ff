import { connect } from "node:net";

export interface Connection {
  /** Sends one request; one at a time. */
  send(request: Buffer): void;
  close(): void;
}

interface ConnectionEvents {
  /** The whole answer is there. */
  readonly onAnswer: (status: number) => void;
  readonly onError: (error: Error) => void;
}

/** A keep-alive HTTP/1.1 connection with nothing but what a load generator needs: a client library costs more than a server. */
export function openConnection(port: number, { onAnswer, onError }: ConnectionEvents): Promise<Connection> {
  let received = "";
  const take = (bytes: number, chunk: Uint8Array): boolean => {
    received += Buffer.from(chunk.buffer, chunk.byteOffset, bytes).toString("latin1");
    try {
      const status = readAnswer(received);
      if (status === undefined) return true;
      received = "";
      onAnswer(status);
    } catch (error) {
      onError(error as Error);
    }
    return true;
  };
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...{ host: "127.0.0.1", port, noDelay: true },
      // One buffer for all reads: nothing is allocated for an answer but its short text.
      onread: { buffer: Buffer.alloc(16_384), callback: take },
    });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject).on("error", onError);
      socket.once("close", () => onError(new Error("the server closed the connection")));
      resolve({
        send: (request) => void socket.write(request),
        close: () => void socket.removeAllListeners("close").destroy(),
      });
    });
  });
}

/** The status, once the answer is whole. Answers must say their length; everything measured here does. */
export function readAnswer(text: string): number | undefined {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd === -1) return undefined;
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, headEnd))?.[1];
  if (length === undefined) throw new Error(`an answer without a length: ${text.slice(0, 200)}`);
  const missing = headEnd + 4 + Number(length) - text.length;
  if (missing < 0) throw new Error("more than the answer came");
  return missing === 0 ? Number(text.slice(9, 12)) : undefined;
}
