import { formatTime } from "../format.ts";
import { type Html, html } from "./html.ts";
import { STYLE } from "./style.ts";

export interface PageOptions {
  readonly title: string;
  readonly at: number;
  readonly isReadOnly: boolean;
  /** False where somebody types, reads long or is about to press a button. */
  readonly renews: boolean;
  readonly body: Html;
}

const REFRESH_S = 5;

const LINKS = [
  ["/", "Overview"],
  ["/dead", "Dead letters"],
  ["/find", "Find a job"],
  ["/queues/", "Queues"],
] as const;

/** The frame of every page; it renews itself without a script. */
export function layOut({ title, at, isReadOnly, renews, body }: PageOptions): string {
  const links = LINKS.map(
    ([path, name]) => html`<a href="${path}"${name === title && html` class="here"`}>${name}</a>`,
  );
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
${renews && html`<meta http-equiv="refresh" content="${REFRESH_S}">`}<meta name="robots" content="noindex"><link rel="icon" href="data:,">
<title>${title} · grp</title><style>${{ html: STYLE }}</style></head><body>
<header><a class="brand" href="/"><i></i>grp</a><nav>${links}</nav>
<small>${isReadOnly && html`<span class="tag off">read-only</span> `}<span${renews && html` class="live"`}>${formatTime(at)}</span></small></header>
<main>${body}</main></body></html>`;
  return page.html;
}
