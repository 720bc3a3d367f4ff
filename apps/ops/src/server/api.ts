import { demandKey } from "@grp/core";
import { Router } from "express";
import { joinWorkflowJob, readWorkflowJobView } from "../view.ts";
import { dismissDead, type OpsContext, retryDead } from "./actions.ts";
import { requireWritable } from "./guards.ts";
import { readStatus } from "./status.ts";

const LIST_LIMIT = 50;

/** JSON for the command line, the demo and anyone who polls. Errors are `{ error, why? }`. */
export function createApi(context: OpsContext): Router {
  const router = Router();
  const { ledger } = context;
  router.get("/status", async (_request, response) => void response.json(await readStatus(context)));
  router.get("/workflow-jobs", async (request, response) => {
    const limit = Math.min(Math.max(Number(request.query.limit) || LIST_LIMIT, 1), 500);
    const records = await ledger.listWorkflowJobs(limit);
    response.json({
      workflowJobs: await Promise.all(records.map((record) => joinWorkflowJob(ledger, record))),
    });
  });
  router.get("/workflow-jobs/:id", async (request, response) => {
    const key = keyOf(request.params.id);
    const view = await readWorkflowJobView(ledger, key);
    if (view) response.json(view);
    else response.status(404).json({ error: "unknown", why: `no workflow job ${key} in the last 7 days` });
  });
  router.get("/plans/:key", async (request, response) => {
    const plan = await ledger.getPlan(request.params.key);
    if (plan === null) response.status(404).json({ error: "unknown", why: "no plan (yet) under this key" });
    else response.json(plan);
  });
  router.get("/dead", async (_request, response) => {
    response.json({ dead: await ledger.listDead(LIST_LIMIT) });
  });
  const act = (change: typeof retryDead) => {
    router.post(
      `/dead/:id/${change === retryDead ? "retry" : "dismiss"}`,
      requireWritable(context.isReadOnly),
      async (request, response) => {
        const key = keyOf(String(request.params.id));
        const verdict = await change(context, key);
        if (verdict === "done") response.json({ outcome: "done", key });
        else response.status(404).json({ error: "not_dead", why: `${key} is no dead letter` });
      },
    );
  };
  act(retryDead);
  act(dismissDead);
  router.use((_request, response) => void response.status(404).json({ error: "no_such_path" }));
  return router;
}

/** `123`, `wfj-123` and `dry-…` all name one. */
export function keyOf(id: string): string {
  return /^\d{1,16}$/.test(id) ? demandKey(Number(id)) : id;
}
