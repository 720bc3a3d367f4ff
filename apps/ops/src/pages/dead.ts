import { formatRepository, formatTime } from "../format.ts";
import type { WorkflowJobView } from "../view.ts";
import { type Html, html } from "./html.ts";
import { drawSteps } from "./steps.ts";

export interface DeadPage {
  readonly dead: readonly WorkflowJobView[];
  /** All of them; `dead` may be only the newest. */
  readonly count: number;
  readonly isReadOnly: boolean;
}

/** Why each failed, and how it came to that. */
export function drawDead({ dead, count, isReadOnly }: DeadPage): Html {
  if (count === 0)
    return html`<h1>Dead letters</h1><div class="card empty">Nothing waits for a person.</div>`;
  const rest =
    count > dead.length &&
    html`<p class="soft">and ${count - dead.length} older ones: <code>grp dead --limit</code></p>`;
  const how =
    isReadOnly &&
    html`<p class="soft">Read-only: <code>OPS_READ_ONLY=false</code> on the ops process lets you retry and dismiss.</p>`;
  return html`<h1>Dead letters <small>${count}; each waits for a person, newest first</small></h1>${how}
${dead.map((view) => drawLetter(view, isReadOnly))}${rest}`;
}

function drawLetter(view: WorkflowJobView, isReadOnly: boolean): Html {
  const { key, demand, failure, explanation } = view;
  return html`<div class="card letter"><div class="row"><div><a class="mono" href="/workflow-jobs/${key}">${demand.workflowJobId}</a>
<span class="soft">${formatRepository(demand)} · ${demand.runnerClass}${failure && ` · ${formatTime(failure.at)}`}</span></div>
<div class="nowrap">${!isReadOnly && drawButtons(key)}</div></div>
<p><span class="tag bad">${failure?.errorClass ?? "failed"}${failure?.code !== undefined && ` ${failure.code}`}</span> ${failure?.message ?? ""}</p>
<details><summary>${explanation.steps.length} steps</summary>${drawSteps(explanation)}</details></div>`;
}

export function drawButtons(key: string): Html {
  return html`<form method="post" action="/dead/${key}/retry"><button class="main">Retry</button></form>
<form method="post" action="/dead/${key}/dismiss"><button>Dismiss</button></form>`;
}
