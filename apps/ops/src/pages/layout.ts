import { formatTime } from "./format.ts";
import { type Html, html } from "./html.ts";
import { STYLE } from "./style.ts";

export interface PageOptions {
  readonly title: string;
  readonly at: number;
  readonly isReadOnly: boolean;
  readonly body: Html;
}

const REFRESH_S = 5;

/** The frame of every page; it renews itself without a script. */
export function layOut({ title, at, isReadOnly, body }: PageOptions): string {
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="refresh" content="${REFRESH_S}"><meta name="robots" content="noindex"><title>${title} · grp</title>
<style>${{ html: STYLE }}</style></head><body>
<header><b>grp</b><nav><a href="/">Overview</a><a href="/queues/">Queues</a></nav>
<small>${isReadOnly && "read-only · "}${formatTime(at)} · renews every ${REFRESH_S} s</small></header>
<main>${body}</main></body></html>`;
  return page.html;
}
