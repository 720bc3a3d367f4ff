import type { Warning, WorkflowJobRecord } from "@grp/ledger";
import { redactText } from "@grp/runtime";

/** Groups named; an outage has one or two. */
const MOST_GROUPS = 10;
/** Of one failure's message: enough to know it by. */
const MESSAGE_LENGTH = 200;

export interface News {
  readonly dead: readonly WorkflowJobRecord[];
  readonly warnings: readonly Warning[];
}

/** One message: the dead letters, and the warnings, if any. */
export function formatAlert(
  { dead, warnings }: News,
  { installation, isCut }: { readonly installation: string; readonly isCut: boolean },
): string {
  return [
    ...(dead.length > 0 ? [formatDead(dead, installation, isCut)] : []),
    ...(warnings.length > 0 ? [formatWarnings(warnings, installation)] : []),
  ].join("\n");
}

function formatWarnings(warnings: readonly Warning[], installation: string): string {
  const lines = warnings.slice(0, MOST_GROUPS).map(({ text }) => escapeText(`• ${shorten(text)}`));
  const rest = warnings.length - MOST_GROUPS;
  const many = warnings.length === 1 ? "1 warning" : `${warnings.length} warnings`;
  return [
    `${installation}: ${many}`,
    ...lines,
    ...(rest > 0 ? [`• and ${rest} more`] : []),
    "`grp status` shows what goes on.",
  ].join("\n");
}

/** By class and error, the largest group first, each with its latest example. */
function formatDead(dead: readonly WorkflowJobRecord[], installation: string, isCut: boolean): string {
  const groups = [...Map.groupBy(dead, groupOf)].sort(([, one], [, other]) => other.length - one.length);
  const many =
    dead.length === 1 ? "1 workflow job has" : `${dead.length}${isCut ? " or more" : ""} workflow jobs have`;
  const lines = groups.slice(0, MOST_GROUPS).map(([group, records]) => formatGroup(group, records));
  const rest = groups.length - MOST_GROUPS;
  return [
    `${installation}: ${many} no runner, and will get none until somebody looks`,
    ...lines,
    ...(rest > 0 ? [`• and ${rest} other kinds`] : []),
    "`grp dead` lists them, to retry or dismiss.",
  ].join("\n");
}

function groupOf({ demand, failure }: WorkflowJobRecord): string {
  const code = failure?.code === undefined ? "" : ` (${failure.code})`;
  return `${demand.runnerClass}: ${failure?.errorClass ?? "unknown"}${code}`;
}

function formatGroup(group: string, records: readonly WorkflowJobRecord[]): string {
  const [latest] = records;
  if (!latest) return "";
  const { demand, failure, key } = latest;
  const where = `${demand.owner}/${demand.repository} ${key}`;
  return escapeText(`• ${records.length} × ${group}; latest ${where}: ${shorten(failure?.message ?? "")}`);
}

function shorten(text: string): string {
  const line = redactText(text).replace(/\s+/g, " ");
  return line.length > MESSAGE_LENGTH ? `${line.slice(0, MESSAGE_LENGTH)}…` : line;
}

// https://docs.slack.dev/messaging/formatting-message-text#escaping
function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
