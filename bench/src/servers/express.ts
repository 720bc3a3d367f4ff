// For comparison: Express 5 as usually written.
import express from "express";
import { createPlainReceiver } from "./queue-delivery.ts";

const receive = createPlainReceiver();
const app = express();
app.get("/", (_request, response) => void response.json({ ok: true }));
app.post("/webhook", express.raw({ type: "application/json", limit: "25mb" }), async (request, response) => {
  const status = await receive(request.body as Buffer, request.get("x-hub-signature-256") ?? "");
  response.status(status).json({ outcome: status === 202 ? "enqueued" : "rejected" });
});
app.listen(Number(process.env.PORT), "127.0.0.1");
