// The baseline: a BullMQ worker that does nothing with a job.
import { createServer } from "node:http";
import { Worker } from "bullmq";

const { REDIS_URL: url = "", PORT: port } = process.env;
// As many jobs at a time as the real one is shipped with, and kept as long.
const worker = new Worker("drain", async () => ({ outcome: "launched" }), {
  connection: { url },
  concurrency: 500,
  removeOnComplete: { age: 7 * 24 * 3_600 },
});
await worker.waitUntilReady();
createServer((_request, response) => response.end("ready\n")).listen(Number(port), "127.0.0.1");
