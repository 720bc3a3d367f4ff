import type { WorkflowJobRecord } from "@grp/ledger";
import { redactText } from "@grp/runtime";

/** Groups named; an outage has one or two. */
const MOST_GROUPS = 10;
/** Of one failure's message: enough to know it by. */
const MESSAGE_LENGTH = 200;

/** The dead letters by class and error, the largest group first, each with its latest example. */
export function formatAlert(
  dead: readonly WorkflowJobRecord[],
  { installation, isCut }: { readonly installation: string; readonly isCut: boolean },
): string {
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
  const message = redactText(failure?.message ?? "").replace(/\s+/g, " ");
  const short = message.length > MESSAGE_LENGTH ? `${message.slice(0, MESSAGE_LENGTH)}…` : message;
  return escapeText(
    `• ${records.length} × ${group}; latest ${demand.owner}/${demand.repository} ${key}: ${short}`,
  );
}

// https://docs.slack.dev/messaging/formatting-message-text#escaping
function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
