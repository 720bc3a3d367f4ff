import type { WorkflowJobView } from "../view.ts";
import { formatDuration } from "./format.ts";
import { type Html, html } from "./html.ts";

/** GitHub's own `queued` comes before ours and says little here. */
const SHOWN = [
  ...["received", "enqueued", "launched", "booted", "claimed", "online", "busy", "finished", "gone"],
] as const;

/** The steps as dots on a line, each that happened with its time since the delivery. */
export function drawWay(view: WorkflowJobView): Html {
  const at = new Map<string, number>(view.timeline.map((entry) => [entry.step, entry.elapsedMs]));
  const dots = SHOWN.map((step) => {
    const elapsedMs = at.get(step);
    if (elapsedMs === undefined) return html`<span>${step}</span>`;
    return html`<span class="on">${step}<em>${elapsedMs < 0 ? "before" : formatDuration(elapsedMs)}</em></span>`;
  });
  return html`<div class="way ${toneOf(view)}">${dots}</div>`;
}

export type Tone = "ok" | "bad" | "warn" | "off" | "";

/** One word for the state of a workflow job, and its colour. */
export function drawState(view: WorkflowJobView): Html {
  return html`<span class="tag ${toneOf(view)}">${wordOf(view)}</span>`;
}

function wordOf({ demand, demandState, workflowJobState, conclusion, waitsFor }: WorkflowJobView): string {
  if (demand.dryRun) return demandState === "waiting" ? "planning" : "planned";
  if (demandState === "failed") return "dead letter";
  if (demandState === "cancelled" || demandState === "dismissed") return demandState;
  if (workflowJobState === "completed") return conclusion ?? "completed";
  if (workflowJobState === "in_progress") return "running";
  return waitsFor ? "waiting" : "starting";
}

function toneOf({ demandState, workflowJobState, conclusion, waitsFor }: WorkflowJobView): Tone {
  if (demandState === "failed") return "bad";
  if (demandState === "cancelled" || demandState === "dismissed") return "off";
  if (workflowJobState === "completed") return conclusion === "success" ? "ok" : "warn";
  return waitsFor ? "warn" : "";
}
