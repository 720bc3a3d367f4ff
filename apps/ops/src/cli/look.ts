import { formatExplanation } from "../explain/format-explanation.ts";
import { formatDuration, formatRepository, formatTime } from "../format.ts";
import { describeStep, describeSweep, type Status } from "../server/status.ts";
import type { WorkflowJobView } from "../view.ts";
import type { CliContext } from "./context.ts";
import { CliError } from "./failure.ts";
import { keyOf } from "./key-of.ts";
import { createOpsApi } from "./ops-api.ts";
import { drawTable } from "./table.ts";

interface LookFlags {
  readonly json?: boolean;
  readonly limit: number;
}

/** Warnings, what waits and why, caps, rate limits, queues and the newest workflow jobs. */
export async function runStatus(context: CliContext, flags: LookFlags): Promise<void> {
  const api = createOpsApi(context.config);
  const [status, workflowJobs] = await Promise.all([api.status(), api.workflowJobs(flags.limit)]);
  if (flags.json) return context.print(JSON.stringify({ ...status, workflowJobs }, null, 2));
  const parts = [
    ...status.warnings.map(({ text, since }) => `WARNING for ${formatDuration(status.at - since)}: ${text}`),
    summarise(status),
    ...drawWaiting(status, context.width),
    ...drawCaps(status),
    ...drawRateLimits(status),
    ...drawQueues(status),
    drawWorkflowJobs(workflowJobs, context.width),
  ];
  for (const part of parts) context.print(part);
}

function summarise(status: Status): string {
  const { runners, dead, classes } = status;
  const waiting = classes.reduce((sum, { demand }) => sum + demand, 0);
  const alive = runners.map((one) => `${one.count} ${one.runnerClass} ${describeStep(one)}`);
  const letters = dead === 0 ? "none" : `${dead} (grp dead lists them)`;
  return [
    `waiting for a runner  ${waiting}`,
    `machines              ${alive.join(", ") || "none"}`,
    `dead letters          ${letters}`,
    `last sweep            ${describeSweep(status)}`,
  ].join("\n");
}

function drawWaiting({ waiting, at }: Status, width: number | undefined): readonly string[] {
  if (waiting.length === 0) return [];
  const rows = waiting.map(({ runnerClass, waitsFor, count, since, key, next }) => [
    ...[String(count), runnerClass, waitsFor, `${formatDuration(at - since)} (${key})`, next],
  ]);
  return [drawTable(["jobs", "class", "wait for", "longest", "then"], rows, width)];
}

function drawCaps({ caps }: Status): readonly string[] {
  if (caps.length === 0) return [];
  const rows = caps.map(({ name, used, limit, waiting }) => [name, ...[used, limit, waiting].map(String)]);
  return [drawTable(["cap", "used", "limit", "in line"], rows)];
}

function drawRateLimits({ rateLimits }: Status): readonly string[] {
  if (rateLimits.length === 0) return [];
  const rows = rateLimits.map(({ name, used, limit, windowMs, waiting, left, pausedMs }) => [
    ...[name, String(used), `${limit} in ${formatDuration(windowMs)}`, String(waiting)],
    ...[left === undefined ? "" : String(left), pausedMs > 0 ? formatDuration(pausedMs) : ""],
  ]);
  return [drawTable(["rate limit", "spent", "of", "in line", "left this hour", "paused for"], rows)];
}

function drawQueues({ queues }: Status): readonly string[] {
  const isNews = ({ count, state, heldMs }: Status["queues"][number]) =>
    heldMs !== undefined || (count > 0 && state !== "completed");
  const busy = queues.filter(isNews);
  if (busy.length === 0) return [];
  const spell = (ms: number | undefined) => (ms === undefined ? "" : formatDuration(ms));
  const rows = busy.map(({ provider, state, count, oldestAgeMs, heldMs }) => [
    ...[provider, state, String(count), spell(oldestAgeMs), spell(heldMs)],
  ]);
  return [drawTable(["queue", "state", "jobs", "oldest", "throttled for"], rows)];
}

function drawWorkflowJobs(workflowJobs: readonly WorkflowJobView[], width: number | undefined): string {
  if (workflowJobs.length === 0) return "no workflow job of ours in the last 7 days";
  const rows = workflowJobs.map(({ key, demand, step, explanation: { whereNow, waitsFor } }) => [
    ...[key, formatRepository(demand), demand.runnerClass, step],
    waitsFor === undefined ? whereNow : `${whereNow}; waits for ${waitsFor}`,
  ]);
  return drawTable(["workflow job", "repository", "class", "step", "now"], rows, width);
}

/** Dead letters with their reasons; with `history`, also what led to each. */
export async function runDead(context: CliContext, flags: LookFlags & { history?: boolean }): Promise<void> {
  const { dead, count } = await createOpsApi(context.config).dead(flags.limit);
  if (flags.json) return context.print(JSON.stringify(dead, null, 2));
  if (dead.length === 0) return context.print("no dead letters");
  if (flags.history) for (const { explanation } of dead) context.print(`${formatExplanation(explanation)}\n`);
  else context.print(dead.map(formatDead).join("\n"));
  if (count > dead.length) context.print(`${count - dead.length} older ones: ${howToSeeMore(dead, flags)}`);
}

/** The server shows no more than it likes at a time. */
function howToSeeMore(dead: readonly unknown[], { limit }: LookFlags): string {
  return dead.length === limit ? "--limit shows more" : "retry --all and dismiss --all reach them too";
}

/** Two lines each: nothing of a reason may be cut off. */
function formatDead({ key, demand, failure }: WorkflowJobView): string {
  const what = [failure?.errorClass, failure?.code].filter(Boolean).join(" ");
  const head = [
    key,
    formatRepository(demand),
    demand.runnerClass,
    failure ? formatTime(failure.at) : "",
    what,
  ];
  return `${head.join("  ")}\n    ${failure?.message ?? ""}`;
}

/** Why a workflow job is where it is, in one screen. */
export async function runExplain(
  context: CliContext,
  what: string,
  flags: { json?: boolean },
): Promise<void> {
  const key = keyOf(what);
  const known = await createOpsApi(context.config).workflowJob(key);
  if (known)
    return context.print(flags.json ? JSON.stringify(known, null, 2) : formatExplanation(known.explanation));
  throw new CliError(
    `nothing is known of ${key}: no delivery about it came in the last 7 days (is it in the webhook's list at GitHub?)`,
  );
}
