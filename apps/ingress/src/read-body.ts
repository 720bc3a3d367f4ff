import type { IncomingMessage } from "node:http";

/** The body can't be had; `type` is a word for log and metric, `status` the answer. */
class BodyError extends Error {
  override readonly name = "BodyError";
  readonly status: number;
  readonly type: string;

  constructor(status: number, type: string, message: string) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

/**
 * The bytes as they came: signatures are over them. A compressed body is refused, for GitHub sends none. What is over
 * the limit is read and dropped, since a sender that is cut off in the middle never reads why. A body that arrived in one
 * piece, as most do, is not copied.
 */
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const { "content-encoding": encoding = "identity" } = request.headers;
    if (encoding.toLowerCase() !== "identity")
      return reject(new BodyError(415, "encoding.unsupported", "a compressed body is not taken"));
    let chunks: Buffer[] = [];
    let received = 0;
    request.on("data", (chunk: Buffer) => {
      received += chunk.length;
      if (received <= limit) chunks.push(chunk);
      else chunks = [];
    });
    request.on("end", () => {
      if (received > limit) reject(new BodyError(413, "entity.too.large", "the body is too large"));
      else resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
    });
    request.on("error", () => reject(new BodyError(400, "request.aborted", "the sender went away")));
  });
}
