import { formatPlan, type Plan } from "@grp/core";
import type { Explanation } from "../explain/explain.ts";
import type { IgnoredView, WorkflowJobView } from "../view.ts";
import { drawButtons } from "./dead.ts";
import { type Html, html } from "./html.ts";
import { drawSteps } from "./steps.ts";
import { drawState, drawWay } from "./way.ts";

/** Everything known of one workflow job, in one screen. */
export function drawWorkflowJob(view: WorkflowJobView | IgnoredView, isReadOnly: boolean): Html {
  const { explanation } = view;
  if (view.kind === "ignored")
    return html`${drawTitle(explanation, html`<span class="tag off">not ours</span>`)}${drawAnswer(explanation)}
<h2>Steps</h2>${drawSteps(explanation)}`;
  const isDead = view.demandState === "failed";
  return html`${drawTitle(explanation, drawState(view))}
<div class="card scroll">${drawWay(view)}</div>${drawAnswer(explanation)}
${isDead && !isReadOnly && html`<p>${drawButtons(view.key)}</p>`}
${view.plan && drawPlan(view.plan)}
<h2>Steps</h2>${drawSteps(explanation)}
${view.runners.length > 0 && html`<h2>Runners</h2>${drawRunners(view)}`}`;
}

export function drawPlan(plan: Plan): Html {
  return html`<h2>Plan</h2><div class="card"><pre>${formatPlan(plan)}</pre></div>`;
}

function drawTitle({ workflowJobId, repository }: Explanation, state: Html): Html {
  return html`<h1>Workflow job <span class="mono">${workflowJobId}</span> ${state}<small>${repository}</small></h1>`;
}

function drawAnswer({ whereNow, waitsFor, next, asked, match }: Explanation): Html {
  return html`<div class="card answer"><dl><dt>Now</dt><dd class="strong">${whereNow}</dd>
${waitsFor !== undefined && html`<dt>Waits for</dt><dd><span class="tag warn">${waitsFor}</span></dd>`}
<dt>Next</dt><dd>${next}</dd><dt>Asked</dt><dd>${asked}</dd><dt>Match</dt><dd>${match}</dd></dl></div>`;
}

function drawRunners(view: WorkflowJobView): Html {
  const rows = view.runners.map(
    (runner) => html`<tr><td class="mono">${runner.runnerName}</td><td>${runner.provider}</td>
<td class="mono">${runner.instanceId ?? "not known yet"}</td><td>${runner.step}</td>
<td class="mono">${runner.workflowJobKey ?? ""}</td><td class="mono">${runner.launchId}</td></tr>`,
  );
  return html`<div class="scroll"><table><tr><th>Runner</th><th>Provider</th><th>Instance</th><th>Step</th><th>Ran</th><th>Launch</th></tr>${rows}</table></div>`;
}
