import { type Request, type Response, Router } from "express";
import { dismissDead, type OpsContext, retryDead } from "../server/actions.ts";
import { keyOf } from "../server/api.ts";
import { requireWritable } from "../server/guards.ts";
import { readStatus } from "../server/status.ts";
import { joinWorkflowJob, readWorkflowJobView } from "../view.ts";
import { html } from "./html.ts";
import { layOut } from "./layout.ts";
import { drawOverview } from "./overview.ts";
import { drawWorkflowJob } from "./workflow-job.ts";

const SHOWN = 40;

/** The pages for people; what they show is what the API gives. */
export function createPages(context: OpsContext): Router {
  const router = Router();
  const { ledger, isReadOnly } = context;
  const send = (response: Response, title: string, body: ReturnType<typeof html>) =>
    response.type("html").send(layOut({ title, at: context.now(), isReadOnly, body }));
  router.get("/", async (_request, response) => {
    const [status, records, dead] = await Promise.all([
      readStatus(context),
      ledger.listWorkflowJobs(SHOWN),
      ledger.listDead(SHOWN),
    ]);
    const workflowJobs = await Promise.all(records.map((record) => joinWorkflowJob(ledger, record)));
    send(response, "Overview", drawOverview({ status, workflowJobs, dead }));
  });
  router.get("/workflow-jobs/:id", async (request, response) => {
    const view = await readWorkflowJobView(ledger, keyOf(request.params.id));
    if (view) return void send(response, view.key, drawWorkflowJob(view, isReadOnly));
    response.status(404);
    send(response, "Unknown", html`<div class="card empty">Nothing is known of this workflow job.</div>`);
  });
  router.post("/dead/:id/:verb", requireWritable(isReadOnly), (request, response) =>
    answerButton(context, request, response),
  );
  router.use((_request, response) => {
    response.status(404);
    send(response, "Not found", html`<div class="card empty">No such page.</div>`);
  });
  return router;
}

async function answerButton(context: OpsContext, request: Request, response: Response): Promise<void> {
  const { id, verb } = request.params;
  const change = verb === "retry" ? retryDead : verb === "dismiss" ? dismissDead : undefined;
  // Pressed twice, the second finds nothing to do: the page shows how it stands.
  if (change) await change(context, String(id));
  response.redirect(303, "/");
}
