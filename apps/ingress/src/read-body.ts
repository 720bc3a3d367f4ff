import type { IncomingMessage } from "node:http";

/** The body can't be had; `type` is a word for log and metric, `status` the answer. */
export class BodyError extends Error {
  override readonly name = "BodyError";
  readonly status: number;
  readonly type: string;

  constructor(status: number, type: string, message: string) {
    super(message);
    this.status = status;
    this.type = type;
  }
}

const tooLarge = () => new BodyError(413, "entity.too.large", "the body is too large");

/**
 * The bytes as they came: signatures are over them. A compressed body is refused, for GitHub sends none. A body that
 * arrived in one piece, as most do, is not copied.
 */
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const { "content-encoding": encoding = "identity", "content-length": length } = request.headers;
    if (encoding.toLowerCase() !== "identity")
      return reject(new BodyError(415, "encoding.unsupported", "a compressed body is not taken"));
    if (Number(length ?? 0) > limit) return reject(tooLarge());
    const chunks: Buffer[] = [];
    let received = 0;
    request.on("data", (chunk: Buffer) => {
      received += chunk.length;
      chunks.push(chunk);
      if (received <= limit) return;
      request.pause();
      reject(tooLarge());
    });
    request.on("end", () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    request.on("error", () => reject(new BodyError(400, "request.aborted", "the sender went away")));
  });
}
