import type { Measure, Row } from "../row.ts";

/** What all rounds found of one row. */
export interface RowResult {
  readonly name: string;
  readonly about: string;
  readonly unit: string;
  /** One for each round. */
  readonly measures: readonly Measure[];
  readonly median: number;
  readonly baseline?: string;
  /** Median of the rounds' own ratios: value to the baseline's value in the same round. */
  readonly ratio?: number;
  /**
   * The same ratio by the servers' own CPU time a delivery, where both rows know it: what others do on the machine
   * meanwhile matters little to it.
   */
  readonly cpuRatio?: number;
  readonly target?: string;
  /** Whether the ratio, or the value where there is no baseline, is within the target. */
  readonly isMet?: boolean;
  /** Median of each further figure. */
  readonly figures: Readonly<Record<string, number>>;
}

/** `measures` by row name and round; a row that was not measured is left out. */
export function summarise(
  rows: readonly Row[],
  measures: ReadonlyMap<string, readonly Measure[]>,
): readonly RowResult[] {
  return rows
    .filter((row) => measures.get(row.name)?.length)
    .map((row) => {
      const own = measures.get(row.name) ?? [];
      // `filter` leaves out the rounds that failed.
      const taken = own.filter(() => true);
      const median = medianOf(taken.map(({ value }) => value));
      const compared = compare(row, own, measures);
      return {
        ...{ name: row.name, about: row.about, unit: row.unit, measures: taken, median },
        ...compared,
        ...judge(row.target, (row.isByCpu ? compared.cpuRatio : compared.ratio) ?? median),
        figures: mediansOf(taken),
      };
    });
}

type Comparison = Pick<RowResult, "baseline" | "ratio" | "cpuRatio">;

function compare(
  row: Row,
  own: readonly Measure[],
  measures: ReadonlyMap<string, readonly Measure[]>,
): Comparison {
  const base = row.baseline === undefined ? undefined : measures.get(row.baseline);
  if (row.baseline === undefined || !base) return {};
  const ratio = medianRatio(own, base, ({ value }) => value);
  const cpuRatio = medianRatio(own, base, ({ figures }) => 1 / (figures?.serverUs ?? Number.NaN));
  const isRate = /^(deliveries|jobs)\/s/.test(row.unit) && Number.isFinite(cpuRatio);
  return { baseline: row.baseline, ratio, ...(isRate ? { cpuRatio } : {}) };
}

function medianRatio(
  own: readonly Measure[],
  base: readonly Measure[],
  figure: (measure: Measure) => number,
): number {
  const ratios = own.flatMap((measure, round) => {
    const other = base[round];
    return other ? [figure(measure) / figure(other)] : [];
  });
  return medianOf(ratios);
}

function judge(target: Row["target"], value: number): { target?: string; isMet?: boolean } {
  if (!target) return {};
  return "atLeast" in target
    ? { target: `≥ ${target.atLeast}`, isMet: value >= target.atLeast }
    : { target: `≤ ${target.atMost}`, isMet: value <= target.atMost };
}

function mediansOf(measures: readonly Measure[]): Record<string, number> {
  const names = Object.keys(measures[0]?.figures ?? {});
  return Object.fromEntries(
    names.map((name) => [name, medianOf(measures.map(({ figures }) => figures?.[name] ?? Number.NaN))]),
  );
}

export function medianOf(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
