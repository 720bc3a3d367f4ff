import { formatSpan } from "./describe-now.ts";
import type { Explanation } from "./explain.ts";
import type { ExplainedStep } from "./story.ts";

/** Steps shown, so that the whole stays on one screen of 24 lines: the first few and the latest. */
const [FIRST, LAST] = [4, 11];
const WIDTH = 110;

/** One screen, lines without colour. Times are UTC; each step also says how long after the first it was. */
export function formatExplanation(explanation: Explanation): string {
  const { workflowJobId, repository, asked, match, whereNow, waitsFor, next, steps, now } = explanation;
  const [first] = steps;
  const age = first ? `, ${formatSpan(now - first.at)} ago` : "";
  return [
    `workflow job ${workflowJobId} of ${repository}${age}`,
    `asked   ${asked}`,
    `match   ${match}`,
    "steps",
    ...shorten(steps).map((step) => formatStep(step, first?.at ?? 0)),
    `now     ${whereNow}`,
    ...(waitsFor === undefined ? [] : [`waits   for ${waitsFor}`]),
    `next    ${next}`,
  ]
    .map((line) => (line.length > WIDTH ? `${line.slice(0, WIDTH - 1)}…` : line))
    .join("\n");
}

type Line = ExplainedStep | { readonly left: number };

function shorten(steps: readonly ExplainedStep[]): readonly Line[] {
  if (steps.length <= FIRST + LAST + 1) return steps;
  return [...steps.slice(0, FIRST), { left: steps.length - FIRST - LAST }, ...steps.slice(-LAST)];
}

function formatStep(line: Line, origin: number): string {
  if ("left" in line) return `  … ${line.left} more …`;
  const time = new Date(line.at).toISOString().slice(5, 19).replace("T", " ");
  const after = `+${formatSpan(line.at - origin)}`;
  return `  ${time}  ${after.padEnd(8)}  ${line.what.replace(/\s+/g, " ")}`;
}
