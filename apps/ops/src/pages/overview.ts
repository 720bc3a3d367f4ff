import type { Catalog } from "@grp/core";
import type { Warning } from "@grp/ledger";
import { formatDuration, formatRepository } from "../format.ts";
import { describeSweep, type Status } from "../server/status.ts";
import type { WaitGroup } from "../server/wait-groups.ts";
import type { WorkflowJobView } from "../view.ts";
import { drawClasses, drawOtherCaps, drawRateLimits } from "./classes.ts";
import { type Html, html } from "./html.ts";
import { drawState, drawWay } from "./way.ts";

export interface Overview {
  readonly status: Status;
  readonly workflowJobs: readonly WorkflowJobView[];
  readonly catalog: Catalog | undefined;
}

/** What waits and why first; then what there is, and what happened of late. */
export function drawOverview({ status, workflowJobs, catalog }: Overview): Html {
  return html`${status.warnings.map((warning) => drawWarning(warning, status.at))}
${drawTiles(status)}
<h2>Waiting, and for what</h2>${drawWaiting(status)}
<h2>Runner classes</h2>${drawClasses(status, catalog)}${drawOtherCaps(status)}
${drawRateLimits(status)}
<h2>Workflow jobs <small>newest first; times since the delivery</small></h2>${drawWorkflowJobs(workflowJobs)}`;
}

function drawWarning({ text, since }: Warning, now: number): Html {
  return html`<div class="banner"><b>Warning</b><span>${text}</span><small>for ${formatDuration(now - since)}</small></div>`;
}

function drawTiles(status: Status): Html {
  const { classes, runners, dead, queues, waiting, at } = status;
  const demand = classes.reduce((sum, one) => sum + one.demand, 0);
  const [oldest] = waiting;
  const busy = runners.filter(({ step }) => step === "busy").reduce((sum, { count }) => sum + count, 0);
  const onTheWay = classes.reduce((sum, one) => sum + one.supply, 0);
  return html`<div class="tiles">
${drawTile({ name: "Waiting for a runner", count: demand, tone: demand > 0 ? "warn" : "", more: oldest ? `the oldest for ${formatDuration(at - oldest.since)}` : "nobody waits" })}
${drawTile({ name: "Starting or idle", count: onTheWay, tone: "", more: "machines on their way, or without a job" })}
${drawTile({ name: "Running", count: busy, tone: busy > 0 ? "busy" : "", more: "machines with a workflow job" })}
${drawTile({ name: "Dead letters", count: dead, tone: dead > 0 ? "bad" : "", more: dead > 0 ? html`<a href="/dead">each waits for a person</a>` : "nothing waits for a person" })}
<div class="tile"><h3>Queues</h3>${drawQueues(queues)}
<div class="row"><span>last sweep</span><span class="soft">${describeSweep(status)}</span></div></div></div>`;
}

function drawTile(tile: { name: string; count: number; tone: string; more: Html | string }): Html {
  return html`<div class="tile"><h3>${tile.name}</h3><div class="big ${tile.tone}">${tile.count}</div><div class="soft">${tile.more}</div></div>`;
}

function drawQueues(queues: Status["queues"]): readonly Html[] {
  return [...Map.groupBy(queues, ({ provider }) => provider)].map(([provider, rows]) => {
    const shown = rows.filter(({ state, count }) => count > 0 && state !== "completed");
    const oldest = rows.find(({ oldestAgeMs }) => oldestAgeMs !== undefined)?.oldestAgeMs;
    const counts = shown.map(({ count, state }) => `${count} ${state}`).join(" · ") || "idle";
    return html`<div class="row"><span>${provider}</span><span class="soft">${counts}${
      oldest !== undefined && `, oldest ${formatDuration(oldest)}`
    }${drawHold(rows)}</span></div>`;
  });
}

function drawHold(rows: Status["queues"]): Html | undefined {
  const heldMs = rows.find((row) => row.heldMs !== undefined)?.heldMs;
  if (heldMs === undefined) return undefined;
  return html` <span class="tag warn">throttled, ${formatDuration(heldMs)} to go</span>`;
}

function drawWaiting({ waiting, classes, at }: Status): Html {
  if (waiting.length === 0) return html`<div class="card empty">Nothing waits for a runner.</div>`;
  const seen = waiting.reduce((sum, { count }) => sum + count, 0);
  const all = classes.reduce((sum, { demand }) => sum + demand, 0);
  const more = all > seen && html`<p class="soft">and ${all - seen} younger ones</p>`;
  const rows = waiting.map((group) => drawGroup(group, at));
  return html`<div class="scroll"><table><tr><th class="count">Jobs</th><th>Class</th><th>Wait for</th><th>Longest</th>
<th>Then</th></tr>${rows}</table></div>${more}`;
}

function drawGroup({ runnerClass, waitsFor, count, since, key, next }: WaitGroup, at: number): Html {
  return html`<tr><td class="count"><b>${count}</b></td><td>${runnerClass}</td><td><span class="tag warn">${waitsFor}</span></td>
<td class="nowrap"><a href="/workflow-jobs/${key}">${formatDuration(at - since)}</a></td><td class="soft">${next}</td></tr>`;
}

function drawWorkflowJobs(views: readonly WorkflowJobView[]): Html {
  if (views.length === 0)
    return html`<div class="card empty">No workflow job has asked for a runner in the last 7 days.</div>`;
  const rows = views.map(
    (
      view,
    ) => html`<tr><td><a class="mono" href="/workflow-jobs/${view.key}">${view.demand.workflowJobId}</a><br>
<span class="soft">${formatRepository(view.demand)}</span></td><td class="nowrap">${view.demand.runnerClass}<br>${drawState(view)}</td>
<td>${drawWay(view)}</td><td class="words">${drawNow(view)}</td></tr>`,
  );
  return html`<div class="scroll"><table><tr><th>Workflow job</th><th>Class</th><th>Steps</th><th>Now</th></tr>${rows}</table></div>`;
}

/** One that was cut off is read whole on its own page. */
function drawNow({ explanation: { whereNow, waitsFor } }: WorkflowJobView): Html {
  return html`${whereNow}${waitsFor !== undefined && html`<br><span class="soft">waits for</span> ${waitsFor}`}`;
}
