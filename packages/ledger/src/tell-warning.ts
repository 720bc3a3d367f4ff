import type { Ledger } from "./types.ts";

export interface Warner {
  readonly ledger: Pick<Ledger, "raiseWarning">;
  readonly log: { warn(message: string, fields: Readonly<Record<string, unknown>>): void };
  readonly now: () => number;
}

/**
 * One line in the log, with `fields`, when it is new; status, metric and alert tell it for as long as it is seen. `text`
 * stays the same.
 */
export async function warn(
  { ledger, log, now }: Warner,
  { kind, text, ttlMs }: { readonly kind: string; readonly text: string; readonly ttlMs: number },
  fields: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const isNew = await ledger.raiseWarning({ kind, text, at: now(), ttlMs });
  if (isNew) log.warn("warning.raised", { kind, text, ...fields });
}
