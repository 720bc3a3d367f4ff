import type { RowResult } from "./results.ts";

/** As few digits as tell something. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return "?";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

/** The results as a Markdown table, columns aligned. */
export function formatTable(results: readonly RowResult[]): string {
  const head = ["row", "median", "unit", "of its baseline", "by CPU time", "target", "what", "besides"];
  const lines = results.map((result) => [
    result.name,
    formatNumber(result.median),
    result.unit,
    result.ratio === undefined ? "" : `${result.ratio.toFixed(2)} × ${result.baseline}`,
    result.cpuRatio === undefined ? "" : result.cpuRatio.toFixed(2),
    result.target === undefined ? "" : `${result.target} ${result.isMet ? "met" : "MISSED"}`,
    result.about,
    Object.entries(result.figures)
      .map(([name, value]) => `${name} ${formatNumber(value)}`)
      .join(", "),
  ]);
  const widths = head.map((title, column) =>
    Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  const format = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [format(head), rule, ...lines.map(format)].join("\n");
}
