import { type Request, Router } from "express";
import { joinWorkflowJobs, readKey, readWorkflowJob } from "../view.ts";
import { type DeadVerdict, dismissDead, type OpsContext, retryDead } from "./actions.ts";
import { BadRequestError } from "./bad-request.ts";
import { requireWritable } from "./guards.ts";
import { readWorld } from "./read-world.ts";
import { readStatus } from "./status.ts";

const LIST_LIMIT = 50;
const MOST_LISTED = 500;

/** JSON for the command line, the demo and anyone who polls. Errors are `{ error, why? }`. */
export function createApi(context: OpsContext): Router {
  const router = Router();
  const { ledger } = context;
  router.get("/status", async (_request, response) => void response.json(await readStatus(context)));
  router.get("/workflow-jobs", async (request, response) => {
    const records = await ledger.listWorkflowJobs(limitOf(request));
    const world = await readWorld(context);
    response.json({
      workflowJobs: await joinWorkflowJobs(ledger, records, world),
    });
  });
  router.get("/workflow-jobs/:id", async (request, response) => {
    const key = keyOf(request.params.id);
    const known = await readWorkflowJob(ledger, key, await readWorld(context));
    if (known) response.json(known);
    else response.status(404).json({ error: "unknown", why: `nothing is known of ${key}` });
  });
  router.get("/plans/:key", async (request, response) => {
    const plan = await ledger.getPlan(request.params.key);
    if (plan === null) response.status(404).json({ error: "unknown", why: "no plan (yet) under this key" });
    else response.json(plan);
  });
  router.get("/dead", async (request, response) => {
    const records = await ledger.listDead(limitOf(request), countOf(request, "skip", 0));
    const world = await readWorld(context);
    const dead = await joinWorkflowJobs(ledger, records, world);
    response.json({ dead, count: await ledger.countDead() });
  });
  const act = (verb: string, change: (context: OpsContext, key: string) => Promise<DeadVerdict>) => {
    const path = `/dead/:id/${verb}`;
    router.post(path, requireWritable(context.isReadOnly), async (request, response) => {
      const key = keyOf(String(request.params.id));
      const verdict = await change(context, key);
      if (verdict === "done") response.json({ outcome: "done", key });
      else response.status(404).json({ error: verdict, why: WHY[verdict](key) });
    });
  };
  act("retry", retryDead);
  act("dismiss", dismissDead);
  router.use((_request, response) => void response.status(404).json({ error: "no_such_path" }));
  return router;
}

const WHY: Readonly<Record<Exclude<DeadVerdict, "done">, (key: string) => string>> = {
  not_dead: (key) => `${key} is no dead letter`,
  ended: (key) => `GitHub has ended the workflow job of ${key} meanwhile; it is off the list`,
};

/** Who asks for more than is listed at a time gets that many. */
function limitOf(request: Request): number {
  return Math.min(countOf(request, "limit", 1) ?? LIST_LIMIT, MOST_LISTED);
}

function countOf({ query }: Request, name: "limit" | "skip", least: number): number | undefined {
  const given = query[name];
  if (given === undefined) return undefined;
  const count = typeof given === "string" && /^\d+$/.test(given) ? Number(given) : Number.NaN;
  if (Number.isSafeInteger(count) && count >= least) return count;
  throw new BadRequestError(`${name} must be a whole number, ${least} or more`);
}

/** What names nothing finds nothing. */
function keyOf(id: string): string {
  return readKey(id) ?? id;
}
