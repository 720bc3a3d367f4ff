import type { Catalog } from "@grp/core";
import { formatDuration } from "../format.ts";
import { describeStep, type Status } from "../server/status.ts";
import { type Html, html } from "./html.ts";

interface ClassRow {
  readonly name: string;
  readonly labels: readonly string[];
  readonly limit: number | undefined;
}

/** Every class of the catalog, busy or not, and those that only the ledger knows (any more). */
export function drawClasses(status: Status, catalog: Catalog | undefined): Html {
  const rows = listClasses(status, catalog).map((row) => drawClass(row, status));
  if (rows.length === 0)
    return html`<div class="card empty">No class is in use, and the catalog can't be read.</div>`;
  return html`<div class="scroll"><table><tr><th>Class</th><th>Labels</th><th class="count">Waiting</th><th>Machines</th>
<th>Places</th></tr>${rows}</table></div>`;
}

function listClasses({ caps, classes, runners }: Status, catalog: Catalog | undefined): readonly ClassRow[] {
  const known = catalog?.classes ?? [];
  const used = [...classes, ...runners].map(({ runnerClass }) => runnerClass);
  const names = new Set([...known.map(({ name }) => name), ...used]);
  return [...names].map((name) => {
    const found = known.find((one) => one.name === name);
    const limit = caps.find((cap) => cap.name === `class:${name}`)?.limit ?? found?.maxRunners;
    return { name, labels: found?.labels ?? [], limit };
  });
}

function drawClass({ name, labels, limit }: ClassRow, { caps, classes, runners }: Status): Html {
  const waiting = classes
    .filter(({ runnerClass }) => runnerClass === name)
    .reduce((sum, { demand }) => sum + demand, 0);
  const machines = runners.filter(({ runnerClass }) => runnerClass === name);
  const cap = caps.find((one) => one.name === `class:${name}`);
  return html`<tr><td><b>${name}</b></td><td>${labels.map((label) => html`<span class="label">${label}</span> `)}</td>
<td class="count">${waiting > 0 ? html`<b class="warn">${waiting}</b>` : "0"}</td>
<td>${machines.map((one) => `${one.count} ${describeStep(one)}`).join(" · ") || html`<span class="soft">none</span>`}</td>
<td class="places">${drawBar({ used: cap?.used ?? 0, limit, waiting: cap?.waiting ?? 0 })}</td></tr>`;
}

/** GitHub's, of each App and account, and CodeMagic's. */
export function drawRateLimits({ rateLimits }: Status): Html | undefined {
  if (rateLimits.length === 0) return undefined;
  return html`<h2>Rate limits <small>at GitHub points of the last minute (a read costs one, a registration five), at CodeMagic requests of the last hour</small></h2>
<div class="caps">${rateLimits.map(
    (limit) =>
      html`<div class="card"><div class="row"><b>${limit.name}</b>${
        limit.pausedMs > 0 &&
        html`<span class="tag warn">paused, ${formatDuration(limit.pausedMs)} to go</span>`
      }</div>${drawBar(limit)}${
        limit.left !== undefined && html`<div class="soft">${limit.left} requests left of the hour</div>`
      }</div>`,
  )}</div>`;
}

/** Caps that are not a class's own: a CodeMagic team's. */
export function drawOtherCaps({ caps }: Status): Html | undefined {
  const others = caps.filter(({ name }) => !name.startsWith("class:"));
  if (others.length === 0) return undefined;
  return html`<div class="caps">${others.map(
    (cap) => html`<div class="card"><div class="row"><b>${cap.name}</b></div>${drawBar(cap)}</div>`,
  )}</div>`;
}

function drawBar({
  used,
  limit,
  waiting,
}: {
  used: number;
  limit: number | undefined;
  waiting: number;
}): Html {
  if (limit === undefined) return html`<span class="soft">unknown</span>`;
  const share = limit > 0 ? Math.min(100, Math.round((100 * used) / limit)) : 0;
  const tone = used >= limit ? "warn" : "";
  return html`<div class="row"><span>${used} of ${limit}</span>${waiting > 0 && html`<span class="warn">${waiting} in line</span>`}</div>
<div class="bar ${tone}"><i style="width:${share}%"></i></div>`;
}
