// The least that a receiver must do which says 202 only when it can't lose the delivery: node:http, the signature, one
// parse, one entry in a stream. No queue, no ledger, no deduplication, no log line.
import { createServer } from "node:http";
import { Redis } from "ioredis";
import { createVerifier } from "./queue-delivery.ts";

const ANSWER = JSON.stringify({ outcome: "enqueued" });

const read = createVerifier();
// No pipeline: ioredis gives each a hundred methods, and collecting those pauses the process for longer (ADR 11).
const redis = new Redis(process.env.REDIS_URL ?? "");

createServer((request, response) => {
  if (request.method !== "POST") return void response.end("ready\n");
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", async () => {
    const demand = await read(Buffer.concat(chunks), String(request.headers["x-hub-signature-256"]));
    if (demand) await redis.xadd("accepted", "*", "demand", JSON.stringify(demand));
    response.writeHead(demand ? 202 : 401, {
      "Content-Type": "application/json",
      "Content-Length": ANSWER.length,
    });
    response.end(ANSWER);
  });
}).listen(Number(process.env.PORT), "127.0.0.1");
