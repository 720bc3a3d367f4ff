import { formatDuration, formatTime } from "../pages/format.ts";
import { collectNotes, type WorkflowJobView } from "../view.ts";
import type { CliContext } from "./context.ts";
import { CliError } from "./failure.ts";
import { createOpsApi } from "./ops-api.ts";
import { formatStep } from "./send.ts";
import { drawTable } from "./table.ts";

interface LookFlags {
  readonly json?: boolean;
  readonly limit?: number;
}

/** Caps, queues and the newest workflow jobs. */
export async function runStatus(context: CliContext, flags: LookFlags): Promise<void> {
  const api = createOpsApi(context.config);
  const [status, workflowJobs] = await Promise.all([api.status(), api.workflowJobs(flags.limit ?? 10)]);
  if (flags.json) return context.print(JSON.stringify({ ...status, workflowJobs }, null, 2));
  const { caps, queues, runners, dead } = status;
  const alive = Object.entries(runners).map(([step, count]) => `${count} ${step}`);
  context.print(`runners alive: ${alive.join(", ") || "none"}; dead letters: ${dead}`);
  if (caps.length > 0)
    context.print(
      drawTable(
        ["cap", "used", "limit", "waiting"],
        caps.map((cap) => [cap.name, cap.used, cap.limit, cap.waiting].map(String)),
      ),
    );
  const busy = queues.filter((row) => row.count > 0);
  if (busy.length > 0)
    context.print(
      drawTable(
        ["queue", "state", "jobs", "oldest"],
        busy.map((row) => [
          row.provider,
          row.state,
          String(row.count),
          row.oldestAgeMs === undefined ? "" : formatDuration(row.oldestAgeMs),
        ]),
      ),
    );
  if (workflowJobs.length === 0) return context.print("no workflow jobs in the last 7 days");
  context.print(
    drawTable(
      ["workflow job", "repository", "class", "step", "now"],
      workflowJobs.map((view) => [
        view.key,
        `${view.demand.owner}/${view.demand.repository}`,
        view.demand.runnerClass,
        view.step,
        view.now,
      ]),
    ),
  );
}

/** Dead letters with their reasons. */
export async function runDead(context: CliContext, flags: LookFlags): Promise<void> {
  const dead = await createOpsApi(context.config).dead();
  if (flags.json) return context.print(JSON.stringify(dead, null, 2));
  if (dead.length === 0) return context.print("no dead letters");
  context.print(
    drawTable(
      ["workflow job", "repository", "class", "at", "error", "reason"],
      dead.map(({ key, demand, failure }) => [
        key,
        `${demand.owner}/${demand.repository}`,
        demand.runnerClass,
        failure ? formatTime(failure.at) : "",
        `${failure?.errorClass ?? ""} ${failure?.code ?? ""}`.trim(),
        failure?.message ?? "",
      ]),
    ),
  );
}

/** Retries or dismisses dead letters; the first that fails is the last. */
export async function runAct(
  context: CliContext,
  keys: readonly string[],
  verb: "retry" | "dismiss",
): Promise<void> {
  const api = createOpsApi(context.config);
  for (const key of keys) {
    await api.act(key, verb);
    context.print(`${key}: ${verb === "retry" ? "back in its queue" : "dismissed"}`);
  }
}

/** Everything known of one workflow job, in one screen. */
export async function runExplain(context: CliContext, what: string, flags: LookFlags): Promise<void> {
  const id = idOf(what);
  const view = await createOpsApi(context.config).workflowJob(id);
  if (!view)
    throw new CliError(
      `nothing is known of ${id}: no delivery for it was accepted in the last 7 days (grp plan says whether a class matches)`,
    );
  context.print(flags.json ? JSON.stringify(view, null, 2) : explain(view));
}

/** `123`, `wfj-123`, or the address of a job's page: `https://github.com/acme/app/actions/runs/1/job/123`. */
function idOf(what: string): string {
  if (!what.includes("/")) return what;
  const id = /\/jobs?\/(\d+)/.exec(what)?.[1];
  if (!id) throw new CliError(`no workflow job id in ${what}: open the job on GitHub and copy its address`);
  return id;
}

function explain(view: WorkflowJobView): string {
  const { demand } = view;
  const notes = collectNotes(view).map(
    (note) => `  ${formatTime(note.at)} ${note.kind}: ${note.text}${note.about ? ` [${note.about}]` : ""}`,
  );
  return [
    `${view.key}  ${demand.owner}/${demand.repository}  labels [${demand.labels.join(", ")}]`,
    `class  ${demand.runnerClass}`,
    `now    ${view.now}`,
    `next   ${view.next}`,
    "steps",
    ...view.timeline.map((entry) => `${formatStep(entry).padEnd(24)} ${formatTime(entry.at)}`),
    ...view.runners.map(
      (runner) =>
        `runner ${runner.runnerName}: ${runner.step}, ${runner.provider} ${runner.instanceId ?? "(no instance yet)"}`,
    ),
    ...(notes.length > 0 ? ["notes", ...notes] : []),
  ].join("\n");
}
