import type { Plan } from "@grp/core";
import { type Request, type Response, Router } from "express";
import { dismissDead, type OpsContext, retryDead } from "../server/actions.ts";
import { requireWritable } from "../server/guards.ts";
import { readWorld } from "../server/read-world.ts";
import { readStatus } from "../server/status.ts";
import { joinWorkflowJobs, readKey, readWorkflowJob } from "../view.ts";
import { drawDead } from "./dead.ts";
import { drawFind } from "./find.ts";
import { type Html, html } from "./html.ts";
import { layOut } from "./layout.ts";
import { drawOverview } from "./overview.ts";
import { drawPlan, drawWorkflowJob } from "./workflow-job.ts";

const SHOWN = 40;
const MOST_DEAD = 100;

interface Page {
  readonly title: string;
  readonly body: Html;
  readonly status?: number;
  readonly renews?: boolean;
}

/** The pages for people; what they show is what the API gives. */
export function createPages(context: OpsContext): Router {
  const router = Router();
  const show = (path: string, draw: (request: Request) => Promise<Page>) => {
    router.get(path, async (request, response) => send(context, response, await draw(request)));
  };
  show("/", () => overview(context));
  show("/dead", () => deadLetters(context));
  show("/workflow-jobs/:id", (request) => workflowJob(context, String(request.params.id)));
  router.get("/find", (request, response) => find(context, request, response));
  router.post("/dead/:id/:verb", requireWritable(context.isReadOnly), (request, response) =>
    answerButton(context, request, response),
  );
  router.use((_request, response) => {
    const body = html`<div class="card empty">No such page.</div>`;
    send(context, response, { title: "Not found", status: 404, body });
  });
  return router;
}

function send({ now, isReadOnly }: OpsContext, response: Response, page: Page): void {
  const { title, body, status = 200, renews = false } = page;
  response
    .status(status)
    .type("html")
    .send(layOut({ title, at: now(), isReadOnly, renews, body }));
}

async function overview(context: OpsContext): Promise<Page> {
  const { ledger, catalog } = context;
  const [status, records] = await Promise.all([readStatus(context), ledger.listWorkflowJobs(SHOWN)]);
  const world = await readWorld(context, status.queues);
  const workflowJobs = await joinWorkflowJobs(ledger, records, world);
  return { title: "Overview", renews: true, body: drawOverview({ status, workflowJobs, catalog }) };
}

async function deadLetters(context: OpsContext): Promise<Page> {
  const { ledger, isReadOnly } = context;
  const [records, count] = await Promise.all([ledger.listDead(MOST_DEAD), ledger.countDead()]);
  const world = await readWorld(context);
  const dead = await joinWorkflowJobs(ledger, records, world);
  return { title: "Dead letters", body: drawDead({ dead, count, isReadOnly }) };
}

async function workflowJob(context: OpsContext, id: string): Promise<Page> {
  const { ledger, isReadOnly } = context;
  const key = readKey(id) ?? id;
  const known = await readWorkflowJob(ledger, key, await readWorld(context));
  // Somebody may be about to press a button.
  const renews = known?.kind === "demand" && known.demandState !== "failed";
  if (known) return { title: key, renews, body: drawWorkflowJob(known, isReadOnly) };
  const plan = await ledger.getPlan(key);
  if (plan !== null) return { title: key, body: drawPlan(plan as Plan) };
  return { title: "Unknown", status: 404, body: drawFind({ what: id, fault: `Nothing is known of ${id}.` }) };
}

async function find(context: OpsContext, { query }: Request, response: Response): Promise<void> {
  const what = typeof query.id === "string" ? query.id.trim() : "";
  if (what === "") return send(context, response, { title: "Find a job", body: drawFind() });
  const key = readKey(what);
  if (key !== undefined) return response.redirect(303, `/workflow-jobs/${encodeURIComponent(key)}`);
  const fault = "That address names no job: open the job on GitHub, not its run, and copy the address.";
  send(context, response, { title: "Find a job", status: 404, body: drawFind({ what, fault }) });
}

async function answerButton(context: OpsContext, request: Request, response: Response): Promise<void> {
  const { id, verb } = request.params;
  const change = verb === "retry" ? retryDead : verb === "dismiss" ? dismissDead : undefined;
  // Pressed twice, the second finds nothing to do: the page shows how it stands.
  if (change) await change(context, String(id));
  response.redirect(303, "/dead");
}
