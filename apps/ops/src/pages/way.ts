import { formatDuration } from "../format.ts";
import type { WorkflowJobView } from "../view.ts";
import { type Html, html } from "./html.ts";

/** GitHub's own `queued` comes before ours and says little here. */
const SHOWN = [
  ...["received", "enqueued", "launched", "booted", "claimed", "online", "busy", "finished", "gone"],
] as const;

/** The steps as dots on a line, each that happened with its time since the delivery; the one it waits for is marked. */
export function drawWay(view: WorkflowJobView): Html {
  const at = new Map<string, number>(view.timeline.map((entry) => [entry.step, entry.elapsedMs]));
  const last = SHOWN.findLastIndex((step) => at.has(step));
  const dots = SHOWN.map((step, index) => {
    const elapsedMs = at.get(step);
    const isNext = index === last + 1 && !isOver(view);
    if (elapsedMs === undefined) return html`<span${isNext && html` class="next"`}>${step}</span>`;
    return html`<span class="on">${step}<em>${elapsedMs < 0 ? "before" : formatDuration(elapsedMs)}</em></span>`;
  });
  return html`<div class="way ${toneOf(view)}">${dots}</div>`;
}

/** Nothing more will happen to it by itself. */
function isOver({ demandState, workflowJobState }: WorkflowJobView): boolean {
  if (demandState === "served") return workflowJobState !== "in_progress";
  return demandState !== "waiting";
}

type Tone = "ok" | "bad" | "warn" | "off" | "busy" | "";

/** One word for the state of a workflow job, and its colour. */
export function drawState(view: WorkflowJobView): Html {
  return html`<span class="tag ${toneOf(view)}">${wordOf(view)}</span>`;
}

function wordOf({ demandState, workflowJobState, conclusion, runner, waitsFor }: WorkflowJobView): string {
  if (demandState === "failed") return "dead letter";
  if (demandState === "cancelled" || demandState === "dismissed") return demandState;
  if (workflowJobState === "completed") return conclusion ?? "completed";
  if (workflowJobState === "in_progress") return "running";
  if (demandState === "served") return "planned";
  return waitsFor !== undefined || runner === undefined || runner.step === "gone" ? "waiting" : "starting";
}

function toneOf(view: WorkflowJobView): Tone {
  switch (wordOf(view)) {
    case "dead letter":
    case "failure":
      return "bad";
    case "success":
      return "ok";
    case "running":
      return "busy";
    case "waiting":
      return "warn";
    case "starting":
      return "";
    default:
      return "off";
  }
}
