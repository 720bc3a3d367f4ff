import type { ServerResponse } from "node:http";
import type { Answer } from "./context.ts";
import { atEndOfTurn } from "./turn.ts";

/**
 * Together with all else that is answered in this turn of the event loop. Who waits for an answer on the same machine, a
 * proxy for one, must be woken up by the kernel, which costs more than the answer; the next ones find it awake.
 */
export function sendSoon(response: ServerResponse, answer: Answer): void {
  atEndOfTurn(() => {
    if (!response.headersSent) send(response, answer);
  });
}

/** Past Express' own `json` and `send`: those look at freshness, charsets and entity tags, which no answer here has. */
export function send(response: ServerResponse, { status, body, retryAfterSeconds }: Answer): void {
  const headers: Record<string, string | number> = {};
  if (retryAfterSeconds !== undefined) headers["Retry-After"] = retryAfterSeconds;
  if (body === undefined) return void response.writeHead(status, headers).end();
  const isText = typeof body === "string";
  const text = isText ? body : JSON.stringify(body);
  headers["Content-Type"] = isText ? "text/plain; charset=utf-8" : "application/json; charset=utf-8";
  headers["Content-Length"] = Buffer.byteLength(text);
  response.writeHead(status, headers).end(text);
}
