import type { IncomingMessage } from "node:http";
import type { Visit } from "./admission.ts";

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
 * The bytes as they came: signatures are over them. A compressed body is refused, for GitHub sends none. What there is
 * no room for is read and dropped, since a sender that is cut off in the middle never reads why.
 */
export function readBody(request: IncomingMessage, limit: number, visit: Visit): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const { "content-encoding": encoding = "identity" } = request.headers;
    if (encoding.toLowerCase() !== "identity")
      return reject(new BodyError(415, "encoding.unsupported", "a compressed body is not taken"));
    const { add, finish } = createCollector(limit, visit);
    request.on("data", add);
    request.on("end", () => {
      const body = finish();
      if (body instanceof BodyError) reject(body);
      else resolve(body);
    });
    request.on("error", () => reject(new BodyError(400, "request.aborted", "the sender went away")));
  });
}

/** A body that arrived in one piece, as most do, is not copied. */
function createCollector(limit: number, visit: Visit) {
  const busy = () => new BodyError(503, "busy", "too much at once; send it again");
  let chunks: Buffer[] = [];
  let received = 0;
  let refusal: BodyError | undefined;
  return {
    add(chunk: Buffer): void {
      received += chunk.length;
      if (received > limit) refusal = new BodyError(413, "entity.too.large", "the body is too large");
      else if (!refusal && !visit.hold(chunk.length)) refusal = busy();
      if (!refusal) return void chunks.push(chunk);
      chunks = [];
      visit.leave();
    },
    finish(): Buffer | BodyError {
      if (!refusal && !visit.enter()) refusal = busy();
      return refusal ?? (chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
    },
  };
}
