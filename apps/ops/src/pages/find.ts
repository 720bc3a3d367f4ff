import { type Html, html } from "./html.ts";

/** Asks for a workflow job; `fault` says why the last answer found none. */
export function drawFind(options: { what?: string; fault?: string } = {}): Html {
  const { what = "", fault } = options;
  return html`<h1>Why does a workflow job wait?</h1><div class="card">
<form class="find" method="get" action="/find"><input name="id" value="${what}" autofocus
placeholder="its id, or its address on GitHub: …/actions/runs/1/job/123" aria-label="workflow job"><button class="main">Explain</button></form>
${fault && html`<p class="bad">${fault}</p>`}<p class="soft">Known are the workflow jobs of the last 7 days, also those that no runner class
serves (the last ten thousand of these). One that is not known was never delivered: see the webhook's deliveries on GitHub.</p></div>`;
}
