import type { ServerResponse } from "node:http";
import type { Answer } from "./context.ts";

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
