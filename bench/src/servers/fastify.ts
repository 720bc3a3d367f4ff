// For comparison: Fastify as usually written.
import { fastify } from "fastify";
import { createPlainReceiver } from "./queue-delivery.ts";

const receive = createPlainReceiver();
const app = fastify({ bodyLimit: 25 * 1024 * 1024 });
app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) =>
  done(null, body),
);
app.get("/", async () => ({ ok: true }));
app.post("/webhook", async (request, reply) => {
  const status = await receive(request.body as Buffer, String(request.headers["x-hub-signature-256"]));
  return reply.code(status).send({ outcome: status === 202 ? "enqueued" : "rejected" });
});
await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
