import type { Ticket } from "@grp/core";
import type { Answer, IngressContext } from "../context.ts";

export type Authenticated =
  | { readonly ok: true; readonly ticket: Ticket }
  | { readonly ok: false; readonly answer: Answer };

/** When to come back, if nobody names a time. */
export const RETRY_SECONDS = 5;

/** An error body: a word for scripts, and nothing secret. */
export function refuse(
  status: number,
  error: string,
  more: { detail?: string; retryAfterSeconds?: number } = {},
): Answer {
  const { detail, retryAfterSeconds } = more;
  return {
    status,
    body: { error, ...(detail === undefined ? {} : { detail }) },
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
}

/** The ticket in `Authorization: Bearer …`. */
export function authenticate(context: IngressContext, header: string | undefined): Authenticated {
  const [scheme, text] = header?.split(" ") ?? [];
  if (scheme?.toLowerCase() !== "bearer" || !text)
    return { ok: false, answer: refuse(401, "ticket_malformed") };
  const verdict = context.signer.verify(text, context.now());
  if (verdict.ok) return verdict;
  return { ok: false, answer: refuse(401, `ticket_${verdict.reason}`) };
}
