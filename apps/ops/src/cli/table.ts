import Table from "cli-table3";

/** A last column narrower than that can't be read: then the terminal breaks the lines. */
const LEAST_WIDTH = 24;

/**
 * A plain table: no colours, so that it can be piped. Its last column, which holds the words, is wrapped to fit into
 * `width` characters, if given.
 */
export function drawTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  width?: number,
): string {
  const widths = head.map((title, column) =>
    Math.max(...[title, ...rows.map((row) => row[column] ?? "")].map(widthOf)),
  );
  // A cell has a blank on both sides and a line before it; the table one line more.
  const others = widths.slice(0, -1).reduce((sum, one) => sum + one + 3, 0);
  const left = width === undefined ? Number.POSITIVE_INFINITY : width - others - 2;
  const last = Math.max(LEAST_WIDTH, Math.min((widths.at(-1) ?? 0) + 2, left));
  const colWidths = [...widths.slice(0, -1).map((one) => one + 2), last];
  const table = new Table({
    head: [...head],
    style: { head: [], border: [], compact: true },
    wordWrap: true,
    colWidths: width === undefined ? [] : colWidths,
  });
  for (const row of rows) table.push([...row]);
  return table.toString();
}

function widthOf(text: string): number {
  return Math.max(...text.split("\n").map((line) => line.length));
}
