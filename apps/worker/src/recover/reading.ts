import type { FailedDeliveries } from "@grp/github";

/** GitHub keeps deliveries for three days; older ones can't be sent again. */
export const KEPT_MS = 3 * 24 * 3_600_000;

/** Read again each time, as GitHub's list may be that far behind. */
export const OVERLAP_MS = 120_000;

/** A stretch of a hook's list that was not read yet: from its cursor, or the newest, back to `sinceMs`. */
export interface Gap {
  readonly sinceMs: number;
  readonly cursor?: string;
  /** What it holds is no newer. */
  readonly downTo?: number;
}

/** How far one hook's list was read. All times but `triedAt` are GitHub's. */
export interface HookReading {
  /** What is newer was not read at all; what is older was, but for the gaps. */
  readonly readUntil: number;
  /** Newest first. */
  readonly gaps: readonly Gap[];
  readonly triedAt: number;
  /** In a row. */
  readonly refusals: number;
}

export const UNREAD: HookReading = { readUntil: 0, gaps: [], triedAt: 0, refusals: 0 };

/** All that is to be read: the news first, then what earlier rounds have left. */
export function findGaps({ readUntil, gaps }: HookReading, now: number): readonly [Gap, ...Gap[]] {
  const oldest = now - KEPT_MS;
  const left = gaps.filter(({ downTo = oldest }) => downTo >= oldest);
  return [{ sinceMs: Math.max(readUntil - OVERLAP_MS, oldest) }, ...left];
}

/** What is left of a gap after its page; the news' first page tells by GitHub's clock how far they reach. */
export function passPage(
  reading: HookReading,
  { gap, rest, page }: { readonly gap: Gap; readonly rest: readonly Gap[]; readonly page: FailedDeliveries },
): HookReading {
  const { at = reading.readUntil, downTo, cursor } = page;
  const readUntil = gap.cursor === undefined ? at : reading.readUntil;
  const left =
    cursor === undefined ? [] : [{ sinceMs: gap.sinceMs, cursor, ...(downTo !== undefined && { downTo }) }];
  return { ...reading, readUntil, gaps: [...left, ...rest] };
}

/** GitHub knows its cursor no longer: all that it stood for is news again. */
export function loseCursor(reading: HookReading, gap: Gap): HookReading {
  return {
    ...reading,
    readUntil: Math.min(reading.readUntil, gap.sinceMs),
    gaps: reading.gaps.filter(({ cursor }) => cursor !== gap.cursor),
  };
}
