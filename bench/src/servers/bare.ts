// The baseline: node:http alone. It reads the body and answers 202 with as many bytes as the ingress does.
import { createServer } from "node:http";

const ANSWER = JSON.stringify({ outcome: "enqueued", key: "wfj-30000000000", runnerClass: "ubuntu-arm64" });

createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    Buffer.concat(chunks);
    response.writeHead(202, { "Content-Type": "application/json", "Content-Length": ANSWER.length });
    response.end(ANSWER);
  });
}).listen(Number(process.env.PORT), "127.0.0.1");
