import { formatPlan, type Plan } from "@grp/core";
import { collectNotes, type WorkflowJobView } from "../view.ts";
import { formatDuration, formatTime } from "./format.ts";
import { type Html, html } from "./html.ts";
import { drawButtons } from "./overview.ts";
import { drawState, drawWay } from "./way.ts";

/** Everything known of one workflow job, in one screen. */
export function drawWorkflowJob(view: WorkflowJobView, isReadOnly: boolean): Html {
  const { demand, failure } = view;
  return html`<h2><span class="mono">${view.key}</span> ${drawState(view)}</h2>
<div class="card scroll">${drawWay(view)}</div><br>
<div class="card"><dl>
<dt>Now</dt><dd>${view.now}</dd><dt>Next</dt><dd>${view.next}</dd>
<dt>Repository</dt><dd>${demand.owner}/${demand.repository}</dd><dt>Labels</dt><dd>${demand.labels.join(", ")}</dd>
<dt>Runner class</dt><dd>${demand.runnerClass}</dd>
${view.servedBy && html`<dt>Served by</dt><dd class="mono">${view.servedBy}</dd>`}
${failure && html`<dt>Failure</dt><dd>${failure.errorClass} ${failure.code ?? ""}: ${failure.message}</dd>`}
<dt>Delivery</dt><dd class="mono">${demand.deliveryId}</dd></dl>
${view.demandState === "failed" && !isReadOnly && html`<br>${drawButtons(view.key)}`}</div>
${view.plan !== undefined && html`<h2>Plan</h2><div class="card"><pre>${formatPlan(view.plan as Plan)}</pre></div>`}
<h2>Steps</h2>${drawSteps(view)}
${view.runners.length > 0 && html`<h2>Runners launched for it</h2><div class="scroll">${drawRunners(view)}</div>`}
${drawNotes(view)}`;
}

function drawSteps(view: WorkflowJobView): Html {
  const rows = view.timeline.map(
    ({ step, at, elapsedMs }) =>
      html`<tr><td>${step}</td><td>${formatTime(at)}</td><td>${formatDuration(elapsedMs)}</td></tr>`,
  );
  return html`<table><tr><th>Step</th><th>At</th><th>Since the delivery</th></tr>${rows}</table>`;
}

function drawRunners(view: WorkflowJobView): Html {
  const rows = view.runners.map(
    (runner) => html`<tr><td class="mono">${runner.runnerName}</td><td>${runner.provider}</td>
<td class="mono">${runner.instanceId ?? "not known yet"}</td><td>${runner.step}</td>
<td class="mono">${runner.workflowJobKey ?? ""}</td><td class="mono">${runner.launchId}</td></tr>`,
  );
  return html`<table><tr><th>Runner</th><th>Provider</th><th>Instance</th><th>Step</th><th>Ran</th><th>Launch</th></tr>${rows}</table>`;
}

function drawNotes(view: WorkflowJobView): Html | undefined {
  const notes = collectNotes(view);
  if (notes.length === 0) return undefined;
  const rows = notes.map(
    (note) => html`<tr><td>${formatTime(note.at)}</td><td>${note.kind}</td><td>${note.text}</td>
<td class="mono">${note.about ?? ""}</td></tr>`,
  );
  return html`<h2>Notes</h2><table>${rows}</table>`;
}
