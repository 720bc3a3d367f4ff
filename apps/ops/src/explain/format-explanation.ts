import { formatDuration } from "../format.ts";
import type { ExplainedStep } from "./collect-steps.ts";
import type { Explanation } from "./explain.ts";

/** Steps shown, so that the whole stays on one screen of 24 lines: the first few and the latest. */
const [FIRST, LAST] = [4, 9];
const WIDTH = 110;
/** Of a sentence, which is what the reader came for: a step is cut after one. */
const MOST_LINES = 2;

/** One screen, lines without colour. Times are UTC; each step also says how long after the first it was. */
export function formatExplanation(explanation: Explanation): string {
  const { workflowJobId, repository, asked, match, whereNow, waitsFor, next, steps, at } = explanation;
  const [first] = steps;
  const age = first ? `, ${formatDuration(at - first.at)} ago` : "";
  return [
    `workflow job ${workflowJobId} of ${repository}${age}`,
    cut(`asked   ${asked}`),
    cut(`match   ${match}`),
    "steps",
    ...shorten(steps).map((step) => cut(formatStep(step, first?.at ?? 0))),
    ...wrap("now     ", whereNow),
    ...(waitsFor === undefined ? [] : wrap("waits   ", `for ${waitsFor}`)),
    ...wrap("next    ", next),
  ].join("\n");
}

function cut(line: string): string {
  return line.length > WIDTH ? `${line.slice(0, WIDTH - 1)}…` : line;
}

/** Broken between words, the later lines under the first. */
function wrap(head: string, text: string): readonly string[] {
  const lines = [head];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1) ?? "";
    const isFull = line.length + word.length >= WIDTH && line.trim() !== "" && lines.length < MOST_LINES;
    if (isFull) lines.push(`${" ".repeat(head.length)}${word}`);
    else lines[lines.length - 1] = line.endsWith(" ") ? `${line}${word}` : `${line} ${word}`;
  }
  return lines.map(cut);
}

type Line = ExplainedStep | { readonly left: number };

function shorten(steps: readonly ExplainedStep[]): readonly Line[] {
  if (steps.length <= FIRST + LAST + 1) return steps;
  return [...steps.slice(0, FIRST), { left: steps.length - FIRST - LAST }, ...steps.slice(-LAST)];
}

function formatStep(line: Line, origin: number): string {
  if ("left" in line) return `  … ${line.left} more …`;
  const time = new Date(line.at).toISOString().slice(5, 19).replace("T", " ");
  const after = `+${formatDuration(line.at - origin)}`;
  return `  ${time}  ${after.padEnd(8)}  ${line.what.replace(/\s+/g, " ")}`;
}
