import type { Explanation } from "../explain/explain.ts";
import { formatDuration, formatTime } from "../format.ts";
import { type Html, html } from "./html.ts";

/** Everything that happened, with its time and how long after the first it was. */
export function drawSteps({ steps }: Explanation): Html {
  const origin = steps[0]?.at ?? 0;
  const rows = steps.map(
    ({ at, what }) =>
      html`<tr><td class="nowrap soft">${formatTime(at)}</td><td class="nowrap">+${formatDuration(at - origin)}</td><td>${what}</td></tr>`,
  );
  return html`<div class="scroll"><table class="steps">${rows}</table></div>`;
}
