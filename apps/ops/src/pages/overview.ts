import type { WorkflowJobRecord } from "@grp/ledger";
import type { Status } from "../server/status.ts";
import type { WorkflowJobView } from "../view.ts";
import { formatDuration, formatTime } from "./format.ts";
import { type Html, html } from "./html.ts";
import { drawState, drawWay } from "./way.ts";

export interface Overview {
  readonly status: Status;
  readonly workflowJobs: readonly WorkflowJobView[];
  readonly dead: readonly WorkflowJobRecord[];
}

export function drawOverview({ status, workflowJobs, dead }: Overview): Html {
  return html`${drawCards(status)}
${dead.length > 0 && drawDead(dead, status.isReadOnly)}
<h2>Workflow jobs <small>newest first</small></h2>
<div class="scroll">${drawWorkflowJobs(workflowJobs)}</div>`;
}

function drawCards({ caps, queues, classes, runners, dead }: Status): Html {
  const demand = classes.reduce((sum, one) => sum + one.demand, 0);
  const live = Object.entries(runners);
  return html`<div class="cards">
<div class="card"><h3>Waiting for a runner</h3><div class="big">${demand}</div>${classes
    .filter((one) => one.demand + one.supply > 0)
    .map(
      (one) => html`<div class="row soft"><span>${one.runnerClass} · ${one.scope}</span>
<span>${one.demand} wanted, ${one.supply} coming</span></div>`,
    )}</div>
<div class="card"><h3>Runners alive</h3><div class="big">${live.reduce((sum, [, count]) => sum + count, 0)}</div>
<div class="soft">${live.map(([step, count]) => `${count} ${step}`).join(" · ")}</div></div>
<div class="card"><h3>Caps</h3>${caps.length === 0 && html`<div class="soft">none in use yet</div>`}${caps.map(drawCap)}</div>
<div class="card"><h3>Queues</h3>${drawQueues(queues)}</div>
<div class="card"><h3>Dead letters</h3><div class="big">${dead}</div>
<div class="soft">${dead === 0 ? "nothing waits for a person" : "each waits for a person"}</div></div>
</div>`;
}

function drawCap({ name, limit, used, waiting }: Status["caps"][number]): Html {
  const share = limit > 0 ? Math.min(100, Math.round((100 * used) / limit)) : 0;
  return html`<div class="row"><span>${name}</span><span>${used} / ${limit}${waiting > 0 && ` · ${waiting} wait`}</span></div>
<div class="bar"><i style="width:${share}%"></i></div>`;
}

function drawQueues(queues: Status["queues"]): readonly Html[] {
  const providers = [...new Set(queues.map((row) => row.provider))];
  return providers.map((provider) => {
    const rows = queues.filter(
      (row) => row.provider === provider && row.count > 0 && row.state !== "completed",
    );
    const oldest = rows.find((row) => row.oldestAgeMs !== undefined)?.oldestAgeMs;
    const counts = rows.map((row) => `${row.count} ${row.state}`).join(" · ") || "idle";
    return html`<div class="row"><span>${provider}</span><span class="soft">${counts}${
      oldest !== undefined && `, oldest ${formatDuration(oldest)}`
    }</span></div>`;
  });
}

function drawDead(dead: readonly WorkflowJobRecord[], isReadOnly: boolean): Html {
  const rows = dead.map(
    (record) => html`<tr><td><a class="mono" href="/workflow-jobs/${record.key}">${record.key}</a><br>
<span class="soft">${record.demand.owner}/${record.demand.repository}</span></td>
<td>${record.demand.runnerClass}</td><td>${record.failure?.errorClass ?? ""} ${record.failure?.code ?? ""}</td>
<td>${record.failure?.message ?? ""}</td><td class="soft">${record.failure ? formatTime(record.failure.at) : ""}</td>
<td>${!isReadOnly && drawButtons(record.key)}</td></tr>`,
  );
  return html`<h2>Dead letters</h2><div class="scroll"><table><tr><th>Workflow job</th><th>Class</th><th>Error</th>
<th>Reason</th><th>At</th><th></th></tr>${rows}</table></div>`;
}

export function drawButtons(key: string): Html {
  return html`<form method="post" action="/dead/${key}/retry"><button>Retry</button></form>
<form method="post" action="/dead/${key}/dismiss"><button>Dismiss</button></form>`;
}

function drawWorkflowJobs(views: readonly WorkflowJobView[]): Html {
  if (views.length === 0)
    return html`<div class="card empty">No workflow job has asked for a runner in the last 7 days.</div>`;
  const rows = views.map(
    (view) => html`<tr><td><a class="mono" href="/workflow-jobs/${view.key}">${view.key}</a><br>
<span class="soft">${view.demand.owner}/${view.demand.repository}</span></td>
<td>${view.demand.runnerClass}<br>${drawState(view)}</td><td>${drawWay(view)}</td>
<td>${view.now}</td></tr>`,
  );
  return html`<table><tr><th>Workflow job</th><th>Class</th><th>Steps, with the time since the delivery</th><th>Now</th></tr>${rows}</table>`;
}
